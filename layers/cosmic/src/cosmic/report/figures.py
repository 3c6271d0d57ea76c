"""The field's standard figures, from binned redshifts and `metrics.json`; pure."""

from __future__ import annotations

from typing import Any

import numpy as np

from cosmic.report.chart import (
    Axis,
    Chart,
    Line,
    Mark,
    Panel,
    Points,
    Steps,
    headroom,
    level,
    reach,
)
from cosmic.report.histograms import Binned

BINNED_METRICS = (
    ("bias_median", "median bias"),
    ("sigma_nmad", "σ_NMAD"),
    ("outliers_0.05", "|dz| > 0.05"),
)
BINNED_BY = {"z_spec": "z_spec", "z_phot": "z_phot", "mag_r": "r magnitude"}


def residual_chart(binned: Binned, photo_z: dict[str, Any]) -> Chart:
    """The residuals' histogram, with a Gaussian of width sigma_NMAD about their median."""
    edges = np.array(binned.residual_edges)
    marks: list[Mark] = [Steps(edges, binned.residuals, "bar", filled=True, label="objects")]
    bias, sigma = photo_z["rail"]["bias_median"], photo_z["sigma_nmad"]
    gauss = np.zeros(1)
    if sigma > 0:
        at = np.linspace(edges[0], edges[-1], 181)
        scale = binned.known * (edges[1] - edges[0]) / (sigma * np.sqrt(2 * np.pi))
        gauss = scale * np.exp(-0.5 * ((at - bias) / sigma) ** 2)
        marks.append(Line(at, gauss, "spec", label="Gaussian of σ_NMAD"))
    top = headroom(binned.residuals, gauss, factor=1.35)
    marks.append(Line((0, 0), (0, top), "muted", 0.8, dashed=True))
    x = Axis("dz = (z_phot − z_spec) / (1 + z_spec)", edges[0], edges[-1])
    return Chart((Panel(x, _counted(top), tuple(marks), legend_at="upper left", columns=2),))


def _counted(top: float) -> Axis:
    return Axis("objects", 0.0, top, counted=True, grid=True)


def binned_chart(photo_z: dict[str, Any], by: str) -> Chart:
    """Bias, sigma_NMAD and outlier rate in bins of `by`, with standard errors."""
    bins = [b for b in photo_z["bins"][by] if "sigma_nmad" in b]
    low, high = (np.array([float(b[end]) for b in bins]) for end in ("from", "to"))
    x = Axis(BINNED_BY[by], *reach(low, high))
    panels = [_binned_panel(bins, x, (low, high), *metric) for metric in BINNED_METRICS]
    return Chart(tuple(panels), height=302.0)


def _binned_panel(
    bins: list[dict[str, Any]], x: Axis, ends: tuple[Any, Any], name: str, label: str
) -> Panel:
    percent = 100 if name.startswith("outliers") else 1
    values = percent * np.array([b[name] for b in bins])
    errors = percent * np.array([b[f"{name}_err"] for b in bins])
    low, high = reach(values - errors, values + errors)
    centres = (ends[0] + ends[1]) / 2
    at = np.array([b.get("mean", centre) for b, centre in zip(bins, centres, strict=True)])
    points = Points(at, values, errors, np.stack([at - ends[0], ends[1] - at]), "phot")
    title = f"{label} (%)" if percent == 100 else label
    if name != "bias_median":
        return Panel(x, Axis(title, 0.0, high, most_ticks=5, grid=True), (points,))
    y = Axis(title, min(low, 0.0), max(high, 0.0), most_ticks=5, grid=True)
    return Panel(x, y, (level(0.0, x), points))


def n_of_z_chart(binned: Binned) -> Chart:
    """The distribution of both redshifts, over all objects that have each."""
    edges = np.array(binned.nz_edges)
    marks = tuple(
        Steps(edges, counts, name, 1.3, label=f"z_{name}, {sum(counts):,} objects")
        for counts, name in ((binned.n_z_spec, "spec"), (binned.n_z_phot, "phot"))
        if sum(counts)
    )
    top = headroom(binned.n_z_spec, binned.n_z_phot, factor=1.38)
    x = Axis("redshift", edges[0], edges[-1])
    return Chart((Panel(x, _counted(top), marks, legend_at="upper left"),))
