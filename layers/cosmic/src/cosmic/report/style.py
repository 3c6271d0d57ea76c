"""How all figures look, and the axes they share."""

from __future__ import annotations

from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from cosmic.report.palette import LIGHT

WIDTH_IN, HEIGHT_IN = 4.5, 3.5
STYLE: Any = {
    "font.size": 8.5,
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
    "legend.fontsize": 8,
    "lines.linewidth": 1.4,
    "svg.fonttype": "none",
    "pdf.fonttype": 42,
    "path.simplify": False,
}


def styled() -> Any:
    """A context in which figures are drawn in this style."""
    return mpl.rc_context(STYLE)


def new_figure(width_in: float = WIDTH_IN, height_in: float = HEIGHT_IN) -> Figure:
    """An empty figure that lays itself out."""
    return Figure(figsize=(width_in, height_in), layout="constrained")


def counted(axes: Axes, label: str) -> None:
    """A y axis of counts from 0, with thousands as people write them."""
    axes.set_ylim(bottom=0)
    axes.set_ylabel(label)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: short_count(value)))
    axes.grid(axis="y")


def short_count(count: float) -> str:
    """`950`, `1.2k`, `10M`."""
    for unit, size in (("M", 1e6), ("k", 1e3)):
        if abs(count) >= size:
            return f"{count / size:.3g}{unit}"
    return f"{count:.3g}"
