"""The timeline of all ranks, and under it how many were doing what."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch, PathPatch
from matplotlib.path import Path
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from cosmic.report.palette import LIGHT, css_name
from cosmic.report.phases import PHASES, Timeline, concurrency, thinned
from cosmic.report.style import new_figure

Floats = NDArray[np.floating[Any]]

LINES = 400
AIRY_LINES = 60
WIDTH_IN = 8.2
CURVE_HEIGHT_IN = 1.6
MARKED = 60


def timeline_figure(line: Timeline) -> Figure:
    """One line a rank, in order of rank; above `LINES` ranks, one for several (see `thinned`)."""
    drawn, each = thinned(line, LINES)
    height_in = float(np.clip(0.17 * len(drawn), 0.7, 4.6))
    figure = new_figure(WIDTH_IN, height_in + CURVE_HEIGHT_IN + 0.9)
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(height_in, CURVE_HEIGHT_IN))
    _draw_lines(upper, line, drawn, each)
    _mark(upper, line)
    _draw_curve(lower, line)
    handles = [Patch(facecolor=LIGHT[css_name(name)], label=name) for name in PHASES]
    figure.legend(handles=handles, loc="outside upper left", ncols=8, handlelength=1.0)
    return figure


def _draw_lines(axes: Axes, line: Timeline, drawn: NDArray[np.int64], each: int) -> None:
    gap = 0.14 if len(drawn) <= AIRY_LINES else 0.0
    low = line.ranks[::each] - 0.5 + gap
    for i, name in enumerate(PHASES):
        spans = line.edges[drawn, i : i + 2]
        long = spans[:, 1] - spans[:, 0] > line.end_s / 20_000
        if long.any():
            path = _boxes(spans[long], low[long], low[long] + each - 2 * gap)
            axes.add_patch(PathPatch(path, facecolor=LIGHT[css_name(name)], edgecolor="none"))
    first, last = (line.ranks[0], line.ranks[-1]) if len(line.ranks) else (0, 0)
    axes.set(ylabel="rank", ylim=(last + 0.7 * each, first - 0.7 * each))
    axes.yaxis.set_major_locator(MaxNLocator(nbins=6, integer=True, min_n_ticks=1))
    axes.grid(axis="x")


def _boxes(spans: Floats, low: Floats, high: Floats) -> Path:
    """One path of N boxes, `spans` (N, 2) wide."""
    x0, x1 = spans.T
    corners = np.stack([x0, low, x1, low, x1, high, x0, high, x0, low], axis=1).reshape(-1, 2)
    codes = np.tile([Path.MOVETO, *[Path.LINETO] * 3, Path.CLOSEPOLY], len(spans))
    return Path(corners, codes)


def _mark(axes: Axes, line: Timeline) -> None:
    """Point at retried ranks and at stragglers, the slowest ones first if there are many."""
    reach = line.end_s * 0.012
    marks = (("retried", line.retried, ">", "spec"), ("straggler", line.stragglers, "<", "ink"))
    for label, which, marker, colour in marks:
        found = np.flatnonzero(which)
        found = found[np.argsort(-line.edges[found, -1])][:MARKED]
        if len(found):
            at = line.edges[found, -1] + reach if marker == "<" else line.edges[found, 0] - reach
            axes.plot(at, line.ranks[found], marker, color=LIGHT[colour], markersize=4, label=label)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(loc="lower left", ncols=2, handletextpad=0.1)


def _draw_curve(axes: Axes, line: Timeline) -> None:
    at, counts = concurrency(line)
    colours = [LIGHT[css_name(name)] for name in counts]
    axes.stackplot(at, *counts.values(), colors=colours, linewidth=0, step="post")
    axes.set(xlabel="seconds since the first rank was queued", ylabel="ranks at once")
    end_s = max(line.end_s, 1e-6)
    axes.set(xlim=(-0.025 * end_s, 1.025 * end_s), ylim=(0, None))
    axes.yaxis.set_major_locator(MaxNLocator(nbins=4, integer=True, min_n_ticks=1))
    axes.grid(visible=True)
