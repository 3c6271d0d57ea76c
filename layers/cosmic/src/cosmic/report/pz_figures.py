"""Two figures of how well p(z) holds, from `pz` of metrics.json; pure."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from cosmic.report.palette import LIGHT
from cosmic.report.style import new_figure
from cosmic.report.tables import Table


def pit_figure(pz: dict[str, Any]) -> Figure:
    """The histogram of the probability integral transform, as a density; 1 if p(z) holds."""
    figure = new_figure(height_in=2.6)
    axes = figure.subplots()
    edges, counts = np.array(pz["pit"]["edges"]), np.array(pz["pit"]["counts"])
    expected = pz["n"] * np.diff(edges)
    noise = 2 * np.sqrt((1 - np.diff(edges)) / expected)
    axes.stairs(
        1 + noise, edges, baseline=1 - noise, fill=True, color=LIGHT["rule"], label="1 ± 2σ"
    )
    axes.stairs(counts / expected, edges, color=LIGHT["phot"], linewidth=1.4, label="objects")
    axes.axhline(1, color=LIGHT["muted"], linewidth=0.8, linestyle=(0, (3, 2)))
    top = max(2.0, 1.25 * float((counts / expected).max()))
    axes.set(xlabel="cumulative p(z) at z_spec", ylabel="density", xlim=(0, 1), ylim=(0, top))
    axes.legend(loc="upper left", ncols=2)
    return figure


def coverage_figure(pz: dict[str, Any]) -> Figure:
    """Which share of the objects lies inside the intervals, less the share that should."""
    figure = new_figure(height_in=2.6)
    axes = figure.subplots()
    names = list(pz["coverage"])
    stated = np.array([float(name) for name in names])
    off = 100 * np.array([pz["coverage"][name] for name in names]) - stated
    noise = 2 * np.sqrt(stated * (100 - stated) / pz["n"])
    at = np.arange(len(names))
    axes.errorbar(at, off, yerr=noise, fmt="o", color=LIGHT["phot"], linewidth=1.2)
    axes.axhline(0, color=LIGHT["muted"], linewidth=0.8, linestyle=(0, (3, 2)))
    most = max(3.0, 1.15 * float((np.abs(off) + noise).max()))
    axes.set(
        ylabel="inside less stated (points)",
        xlabel="stated share inside the interval",
        ylim=(-most, most),
        xlim=(-0.6, len(names) - 0.4),
    )
    axes.set_xticks(at, [f"{name} %" for name in names])
    axes.grid(axis="y")
    return figure


def pz_table(pz: dict[str, Any]) -> Table:
    """The same in numbers, and the scores."""
    rows = [
        (f"inside the {name} % interval", f"{100 * share:.1f} %")
        for name, share in pz["coverage"].items()
    ]
    rows += [("mean CRPS", f"{pz['crps']:.5f}"), ("CDE loss", f"{pz['cde_loss']:.2f}")]
    return Table("Metrics of p(z)", ("", "value"), tuple(rows))
