"""The standard plots as PNG and PDF, for papers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_pdf import FigureCanvasPdf
from numpy.typing import NDArray
from PIL import Image

from cosmic.contracts.arrow_values import values_of
from cosmic.report.chart import Chart
from cosmic.report.chart_matplotlib import figure_of, styled
from cosmic.report.density import density_chart
from cosmic.report.figures import BINNED_BY, binned_chart, n_of_z_chart, residual_chart
from cosmic.report.histograms import BLOCK_ROWS, bin_redshifts

DOTS_PER_INCH = 300
PNG_LEVEL = 2  # of zlib: level 6 takes three times as long for a few kilobytes less


def write_plots(catalogue: Path, metrics: dict[str, Any], folder: Path) -> list[Path]:
    """Draw the page's plots of redshifts, on white.

    Args:
        catalogue: `catalogue.parquet`.
        metrics: `metrics.json`.
        folder: Where the files go; made if it does not exist.

    Returns:
        The files: each plot as PNG and PDF; only N(z) if no object has a z_spec.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with styled():
        return [
            path
            for name, chart in _plots(_redshifts(catalogue), metrics["photo_z"]).items()
            for path in _write(chart, folder / name)
        ]


def _redshifts(catalogue: Path) -> list[NDArray[np.float32]]:
    with pq.ParquetFile(catalogue) as file:
        return [
            np.stack([values_of(batch[c]) for c in ("z_phot", "z_spec")])
            for batch in file.iter_batches(BLOCK_ROWS, columns=["z_phot", "z_spec"])
        ]


def _plots(chunks: list[NDArray[np.float32]], photo_z: dict[str, Any]) -> dict[str, Chart]:
    if not photo_z["n"]:
        return {"n-of-z": n_of_z_chart(bin_redshifts(chunks))}
    bias, sigma = photo_z["rail"]["bias_median"], photo_z["sigma_nmad"]
    binned = bin_redshifts(chunks, bias=bias, sigma=sigma)
    by = [name for name in BINNED_BY if any("sigma_nmad" in b for b in photo_z["bins"][name])]
    return {
        "density": density_chart(binned, photo_z),
        "residuals": residual_chart(binned, photo_z),
        "n-of-z": n_of_z_chart(binned),
        **{f"by-{name.replace('_', '-')}": binned_chart(photo_z, name) for name in by},
    }


def _write(chart: Chart, stem: Path) -> list[Path]:
    """The chart in both formats; it is laid out and drawn once for each.

    `savefig` would draw it twice for each: first to lay it out, although the layout is known.
    """
    figure = figure_of(chart)
    figure.set_facecolor("white")
    figure.set_dpi(DOTS_PER_INCH)
    png, pdf = stem.with_suffix(".png"), stem.with_suffix(".pdf")
    canvas: Any = FigureCanvasAgg(figure)
    canvas.draw()
    dots: Any = (DOTS_PER_INCH, DOTS_PER_INCH)
    image = Image.fromarray(np.asarray(canvas.buffer_rgba())[..., :3])
    image.save(png, dpi=dots, compress_level=PNG_LEVEL)
    figure.set_layout_engine("none")  # it is laid out now: once more would cost as much again
    printed: Any = FigureCanvasPdf(figure)
    printed.print_pdf(pdf)
    return [png, pdf]
