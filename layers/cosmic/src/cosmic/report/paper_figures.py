"""The standard plots as PNG and PDF, for papers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from cosmic.contracts.arrow_values import values_of
from cosmic.report.chart import Chart
from cosmic.report.chart_svg import inline_svg
from cosmic.report.density import density_chart
from cosmic.report.figures import BINNED_BY, binned_chart, n_of_z_chart, residual_chart
from cosmic.report.histograms import BLOCK_ROWS, bin_redshifts
from cosmic.report.pdf_plot import DOTS_PER_INCH, image_of, pdf_of
from cosmic.report.svg_shapes import picture_of

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
    """The chart in both formats, as the page draws it."""
    page = pdf_of(picture_of(inline_svg(chart, "plot", "", "")))
    png, pdf = stem.with_suffix(".png"), stem.with_suffix(".pdf")
    dots = (DOTS_PER_INCH, DOTS_PER_INCH)
    image_of(page).save(png, dpi=dots, compress_level=PNG_LEVEL)
    pdf.write_bytes(page)
    return [png, pdf]
