"""A chart as a matplotlib figure, for papers: on white, in the palette's light colours."""

from __future__ import annotations

from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle
from matplotlib.ticker import FuncFormatter, MaxNLocator

from cosmic.report.chart import (
    FONT_PT,
    SMALL_PT,
    Axis,
    Boxes,
    Chart,
    Line,
    Mark,
    Panel,
    Pointers,
    Points,
    ShadeKey,
    Steps,
)
from cosmic.report.formatting import short_count
from cosmic.report.palette import LIGHT
from cosmic.report.ticks import STEPS

POINTS_PER_INCH = 72
DASHES = (0, (3, 2))
STYLE: Any = {
    "font.size": FONT_PT,
    "font.family": "DejaVu Sans",
    "text.color": LIGHT["ink"],
    "axes.labelcolor": LIGHT["ink"],
    "axes.edgecolor": LIGHT["muted"],
    "axes.facecolor": "none",
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.7,
    "xtick.color": LIGHT["muted"],
    "ytick.color": LIGHT["muted"],
    "xtick.labelcolor": LIGHT["ink"],
    "ytick.labelcolor": LIGHT["ink"],
    "grid.color": LIGHT["rule"],
    "grid.linewidth": 0.6,
    "figure.facecolor": "none",
    "legend.frameon": False,
    "legend.fontsize": SMALL_PT,
    "pdf.fonttype": 42,
}


def styled() -> Any:
    """A context in which figures are drawn in this style."""
    return mpl.rc_context(STYLE)


def figure_of(chart: Chart) -> Figure:
    """The chart as a figure of its size, which lays itself out."""
    size = (chart.width / POINTS_PER_INCH, chart.height / POINTS_PER_INCH)
    figure = Figure(figsize=size, layout="constrained")
    shares = [panel.share for panel in chart.panels]
    grid = figure.subplots(len(shares), 1, sharex=True, height_ratios=shares, squeeze=False)
    panels = list(grid[:, 0])
    for axes, panel in zip(panels, chart.panels, strict=True):
        _draw(axes, panel)
    panels[-1].set_xlabel(chart.panels[-1].x.label)
    figure.align_ylabels(panels)
    if chart.legend:
        handles = [Patch(facecolor=LIGHT[colour], label=name) for colour, name in chart.legend]
        figure.legend(handles=handles, loc="outside upper left", ncols=8, handlelength=1.0)
    return figure


def _draw(axes: Axes, panel: Panel) -> None:
    for mark in panel.marks:
        _mark(axes, mark)
    axes.set(xlim=(panel.x.low, panel.x.high), ylim=(panel.y.low, panel.y.high))
    axes.set_ylabel(panel.y.label)
    for axis, found in ((panel.x, axes.xaxis), (panel.y, axes.yaxis)):
        _ticks(axis, found)
    if panel.words:
        place: Any = {"transform": axes.transAxes, "ha": "right", "va": "bottom"}
        axes.text(0.97, 0.05, "\n".join(panel.words), **place)
    if panel.key:
        _shade_key(axes, panel.key)
    if panel.legend_at and axes.get_legend_handles_labels()[0]:
        where: Any = {"loc": panel.legend_at, "ncols": panel.columns}
        axes.legend(**where)


def _ticks(axis: Axis, found: Any) -> None:
    if axis.ticks is not None:
        found.set_ticks([at for at, _ in axis.ticks], [label for _, label in axis.ticks])
    else:
        kind: Any = {"integer": axis.whole, "steps": STEPS, "min_n_ticks": 1}
        found.set_major_locator(MaxNLocator(axis.most_ticks, **kind))
    if axis.counted:
        found.set_major_formatter(FuncFormatter(lambda value, _: short_count(value)))
    found.grid(visible=axis.grid)


def _mark(axes: Axes, mark: Mark) -> None:
    colour = LIGHT[mark.colour]
    match mark:
        case Line():
            look: Any = {"linewidth": mark.width, "linestyle": DASHES if mark.dashed else "-"}
            axes.plot(mark.x, mark.y, color=colour, label=mark.label, **look)
        case Steps():
            width = 0.0 if mark.filled else mark.width
            look = {"fill": mark.filled, "linewidth": width, "baseline": mark.base}
            axes.stairs(mark.values, mark.edges, color=colour, label=mark.label, **look)
        case Points():
            look = {"fmt": "o", "markersize": 3.6, "linewidth": 1.1, "color": colour}
            axes.errorbar(mark.x, mark.y, mark.y_error, mark.x_error, **look)
        case Boxes():
            corners: Any = mark.corners[:, [[0, 2], [1, 2], [1, 3], [0, 3]]]
            axes.add_collection(PolyCollection(corners, facecolor=colour, edgecolor="none"))
        case Pointers():
            marker = "<" if mark.left else ">"
            axes.plot(mark.x, mark.y, marker, color=colour, markersize=4, label=mark.label)
            for x, y, name in zip(np.asarray(mark.x), np.asarray(mark.y), mark.names, strict=False):
                axes.annotate(name, (x, y), (6, 0), textcoords="offset points", va="center")


def _shade_key(axes: Axes, key: ShadeKey) -> None:
    """The shades with their limits, in the corner that a good density leaves empty."""
    inset = axes.inset_axes((0.04, 0.86, 0.46, 0.045))
    for i, colour in enumerate(key.colours):
        inset.add_patch(Rectangle((i, 0), 1, 1, facecolor=LIGHT[colour], edgecolor="none"))
    inset.set(xlim=(0, len(key.colours)), ylim=(0, 1), yticks=[])
    inset.set_xticks([i + 0.5 for i, _ in key.labels], [label for _, label in key.labels])
    inset.tick_params(length=0, pad=1.5, labelsize=SMALL_PT)
    inset.set_title(key.title, fontsize=SMALL_PT, loc="left", pad=2.5)
    for spine in inset.spines.values():
        spine.set_visible(False)
