"""The field's standard figures, from binned redshifts and `metrics.json`; pure."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from cosmic.report.histograms import Binned
from cosmic.report.palette import LIGHT
from cosmic.report.style import counted, new_figure

BINNED_METRICS = (
    ("bias_median", "median bias"),
    ("sigma_nmad", "σ_NMAD"),
    ("outliers_0.05", "|dz| > 0.05"),
)
BINNED_BY = {"z_spec": "z_spec", "z_phot": "z_phot", "mag_r": "r magnitude"}


def residual_figure(binned: Binned, photo_z: dict[str, Any]) -> Figure:
    """The residuals' histogram, with a Gaussian of width sigma_NMAD about their median."""
    figure = new_figure()
    axes = figure.subplots()
    edges = np.array(binned.residual_edges)
    axes.stairs(binned.residuals, edges, fill=True, color=LIGHT["bar"], label="objects")
    bias, sigma = photo_z["rail"]["bias_median"], photo_z["sigma_nmad"]
    if sigma > 0:
        at = np.linspace(edges[0], edges[-1], 181)
        scale = binned.known * (edges[1] - edges[0]) / (sigma * np.sqrt(2 * np.pi))
        gauss = scale * np.exp(-0.5 * ((at - bias) / sigma) ** 2)
        axes.plot(at, gauss, color=LIGHT["spec"], label="Gaussian of σ_NMAD")
    axes.axvline(0, color=LIGHT["muted"], linewidth=0.8, linestyle=(0, (3, 2)))
    axes.set(xlabel="dz = (z_phot − z_spec) / (1 + z_spec)", xlim=edges[[0, -1]])
    counted(axes, "objects")
    axes.set_ylim(top=1.28 * axes.get_ylim()[1])
    axes.legend(loc="upper left", ncols=2)
    return figure


def binned_figure(photo_z: dict[str, Any], by: str) -> Figure:
    """Bias, sigma_NMAD and outlier rate in bins of `by`, with standard errors."""
    figure = new_figure(height_in=4.2)
    panels = figure.subplots(len(BINNED_METRICS), 1, sharex=True)
    bins = [b for b in photo_z["bins"][by] if "sigma_nmad" in b]
    middle = [(b["from"] + b["to"]) / 2 for b in bins]
    half = [(b["to"] - b["from"]) / 2 for b in bins]
    for axes, (name, label) in zip(panels, BINNED_METRICS, strict=True):
        percent = 100 if name.startswith("outliers") else 1
        axes.errorbar(
            middle,
            [percent * b[name] for b in bins],
            xerr=half,
            yerr=[percent * b[f"{name}_err"] for b in bins],
            fmt="o",
            markersize=3.6,
            linewidth=1.1,
            color=LIGHT["phot"],
        )
        axes.set_ylabel(f"{label} (%)" if percent == 100 else label)
        axes.locator_params(axis="y", nbins=5)
        axes.grid(visible=True)
    panels[0].axhline(0, color=LIGHT["muted"], linewidth=0.8, linestyle=(0, (3, 2)))
    for axes in panels[1:]:
        axes.set_ylim(bottom=0)
    panels[-1].set_xlabel(BINNED_BY[by])
    figure.align_ylabels(list(panels))
    return figure


def n_of_z_figure(binned: Binned) -> Figure:
    """The distribution of both redshifts, over all objects that have each."""
    figure = new_figure()
    axes = figure.subplots()
    edges = np.array(binned.nz_edges)
    for counts, name in ((binned.n_z_spec, "spec"), (binned.n_z_phot, "phot")):
        if sum(counts):
            label = f"z_{name}, {sum(counts):,} objects"
            axes.stairs(counts, edges, color=LIGHT[name], linewidth=1.3, label=label)
    axes.set(xlabel="redshift", xlim=edges[[0, -1]])
    counted(axes, "objects")
    axes.set_ylim(top=1.32 * axes.get_ylim()[1])
    if axes.get_legend_handles_labels()[0]:
        axes.legend(loc="upper left")
    return figure
