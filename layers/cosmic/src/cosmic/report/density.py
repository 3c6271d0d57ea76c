"""z_phot against z_spec as a density, with the residuals under it."""

from __future__ import annotations

from itertools import groupby
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import PathPatch, Rectangle
from matplotlib.path import Path
from numpy.typing import NDArray

from cosmic.metrics.photo_z import OUTLIERS_AT
from cosmic.report.formatting import real
from cosmic.report.histograms import Binned
from cosmic.report.palette import DENSITY, LIGHT
from cosmic.report.style import new_figure, short_count

Floats = NDArray[np.float64]

OUTLIER_LINE: Any = {"color": LIGHT["muted"], "linewidth": 0.8, "linestyle": (0, (3, 2))}


def density_figure(binned: Binned, photo_z: dict[str, Any]) -> Figure:
    """The density of objects in z_spec and z_phot with the 1:1 line, and of dz in z_spec.

    Dashed lines are where |dz| is 0.05, beyond which objects count as outliers; N and sigma_NMAD
    stand beside.

    Each shade holds counts up to the number at its right end, evenly spaced in their logarithm.
    """
    figure = new_figure(height_in=4.6)
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    z, dz = np.array(binned.z_edges), np.array(binned.dz_edges)
    counts = np.array(binned.density)
    limits = shade_limits(int(max(counts.max(), np.max(binned.dz_density))))
    draw_cells(upper, z, z, counts, limits)
    draw_cells(lower, z, dz, np.array(binned.dz_density), limits)
    upper.plot(z[[0, -1]], z[[0, -1]], color=LIGHT["spec"], linewidth=0.9, label="1:1")
    lower.axhline(0, color=LIGHT["spec"], linewidth=0.9)
    for side in (-OUTLIERS_AT[0], OUTLIERS_AT[0]):
        upper.plot(z[[0, -1]], z[[0, -1]] + side * (1 + z[[0, -1]]), **OUTLIER_LINE)
        lower.axhline(side, **OUTLIER_LINE)
    words = f"N = {photo_z['n']:,}\nσ_NMAD = {real(photo_z['sigma_nmad'], 4)}"
    upper.text(0.97, 0.05, words, transform=upper.transAxes, ha="right", va="bottom")
    for axes in (upper, lower):
        axes.grid(visible=True)
    upper.set(ylabel="z_phot", xlim=z[[0, -1]], ylim=z[[0, -1]])
    lower.set(xlabel="z_spec", ylabel="dz", ylim=dz[[0, -1]])
    figure.align_ylabels([upper, lower])
    shade_key(upper, limits)
    return figure


def shade_limits(most: int) -> NDArray[np.int64]:
    """The largest count of each shade: rising, `most` the last; as many as `DENSITY` or fewer."""
    if most < 1:
        return np.array([1])
    limits: NDArray[np.int64] = np.unique(
        np.round(np.geomspace(1, most, len(DENSITY))).astype(np.int64)
    )
    return limits


def draw_cells(
    axes: Axes, x: Floats, y: Floats, counts: NDArray[np.int64], limits: NDArray[np.int64]
) -> None:
    """Draw cells (len(x) - 1, len(y) - 1) as one path a shade; neighbours in y become one box."""
    shades = np.where(counts > 0, np.searchsorted(limits, counts) + 1, 0)
    boxes: dict[int, list[Path]] = {}
    for i, column in enumerate(shades):
        for shade, run in groupby(range(len(column)), key=column.__getitem__):
            cells = list(run)
            if shade:
                corners = [(x[i], y[cells[0]]), (x[i + 1], y[cells[-1] + 1])]
                boxes.setdefault(int(shade), []).append(_box(*corners))
    for shade, paths in boxes.items():
        path = Path.make_compound_path(*paths)
        axes.add_patch(PathPatch(path, facecolor=_colour(shade, limits), edgecolor="none"))


def _box(low: tuple[float, float], high: tuple[float, float]) -> Path:
    return Path(
        [low, (high[0], low[1]), high, (low[0], high[1]), low],
        [Path.MOVETO, Path.LINETO, Path.LINETO, Path.LINETO, Path.CLOSEPOLY],
    )


def _colour(shade: int, limits: NDArray[np.int64]) -> str:
    """The shade's colour; few shades are spread over the whole scale."""
    last = len(DENSITY) - 1
    at = last if len(limits) == 1 else round((shade - 1) * last / (len(limits) - 1))
    return DENSITY[at]


def shade_key(axes: Axes, limits: NDArray[np.int64]) -> None:
    """The shades with their limits, in the corner that a good density leaves empty."""
    key = axes.inset_axes((0.04, 0.86, 0.46, 0.045))
    for i in range(len(limits)):
        key.add_patch(Rectangle((i, 0), 1, 1, facecolor=_colour(i + 1, limits), edgecolor="none"))
    shown = sorted({0, len(limits) // 2, len(limits) - 1})
    key.set(xlim=(0, len(limits)), ylim=(0, 1), yticks=[], xticks=[i + 0.5 for i in shown])
    key.set_xticklabels([short_count(float(limits[i])) for i in shown], fontsize=7.5)
    key.tick_params(length=0, pad=1.5)
    key.set_title("objects in a cell, up to", fontsize=7.5, loc="left", pad=2.5)
    for spine in key.spines.values():
        spine.set_visible(False)
