"""What a figure shows, apart from how it is drawn: panels, their axes, and marks in data units.

The page draws it as SVG (`chart_svg`), and `paper_figures` turns that into PNG and PDF: importing a
plotting library costs more than all of them do. Colours are names of `palette`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.floating[Any]]

WIDTH_PT, HEIGHT_PT = 324.0, 252.0
FONT_PT, SMALL_PT = 8.5, 8.0


@dataclass(frozen=True)
class Axis:
    """One axis.

    Attributes:
        label: Its title.
        low, high: Its limits; it runs backwards where `high` is the lower.
        ticks: Places and labels; None: round numbers.
        whole: Only whole numbers are labelled.
        counted: Thousands as people write them: `1.2k`.
        most_ticks: Maximum number of labels, if they are not given.
        grid: Whether lines are drawn at the ticks.
    """

    label: str
    low: float
    high: float
    ticks: tuple[tuple[float, str], ...] | None = None
    whole: bool = False
    counted: bool = False
    most_ticks: int = 7
    grid: bool = False


@dataclass(frozen=True)
class Line:
    """A line through points, (N,) each."""

    x: ArrayLike
    y: ArrayLike
    colour: str
    width: float = 1.4
    dashed: bool = False
    label: str = ""


@dataclass(frozen=True)
class Steps:
    """A histogram: its outline from `base` to `values` (N,), or the area between."""

    edges: ArrayLike
    values: ArrayLike
    colour: str
    width: float = 1.4
    filled: bool = False
    base: ArrayLike = 0.0
    label: str = ""


@dataclass(frozen=True)
class Points:
    """Points (N,) with error bars.

    Attributes:
        x_error: To either side (N,), or below and above (2, N).
    """

    x: ArrayLike
    y: ArrayLike
    y_error: ArrayLike
    x_error: ArrayLike
    colour: str
    label: str = ""


@dataclass(frozen=True)
class Boxes:
    """Filled boxes in one colour: x from and to, y from and to, float64 (N, 4)."""

    corners: NDArray[np.float64]
    colour: str
    label: str = ""


@dataclass(frozen=True)
class Pointers:
    """Triangles at points (N,), which point left or right; names stand beside some."""

    x: ArrayLike
    y: ArrayLike
    colour: str
    left: bool
    label: str = ""
    names: tuple[str, ...] = ()


Mark = Line | Steps | Points | Boxes | Pointers


@dataclass(frozen=True)
class ShadeKey:
    """What the shades of a density mean: colours from light to dark, labels under some."""

    title: str
    colours: tuple[str, ...]
    labels: tuple[tuple[int, str], ...]


@dataclass(frozen=True)
class Panel:
    """Axes with what is drawn in them, the first mark undermost.

    Attributes:
        share: Its height, as a share of that of all panels (they need not sum to 1).
        legend_at: `upper left` or `lower left`: where marks with a label are explained; empty:
            nowhere.
        columns: How many labels stand beside each other.
        words: Lines in the lower right corner.
        key: Explains a density's shades, in the upper left corner.
    """

    x: Axis
    y: Axis
    marks: tuple[Mark, ...]
    share: float = 1.0
    legend_at: str = ""
    columns: int = 1
    words: tuple[str, ...] = ()
    key: ShadeKey | None = None


@dataclass(frozen=True)
class Chart:
    """Panels under each other, which share their x axis; sizes in points of 1/72 inch.

    Attributes:
        legend: Colours and what they mean, above all panels.
    """

    panels: tuple[Panel, ...]
    width: float = WIDTH_PT
    height: float = HEIGHT_PT
    legend: tuple[tuple[str, str], ...] = ()


def level(y: float, axis: Axis, colour: str = "muted", *, dashed: bool = True) -> Line:
    """A thin horizontal line across the whole axis."""
    return Line((axis.low, axis.high), (y, y), colour, 0.8, dashed)


def reach(*values: ArrayLike, margin: float = 0.06) -> tuple[float, float]:
    """Limits around all finite values, with a margin; of some width where all are equal."""
    each = np.concatenate([np.asarray(v, np.float64).ravel() for v in values])
    each = each[np.isfinite(each)]
    low, high = (float(each.min()), float(each.max())) if len(each) else (0.0, 1.0)
    pad = margin * (high - low) or 0.05 * abs(high) or 0.5
    return low - pad, high + pad


def headroom(*values: ArrayLike, factor: float) -> float:
    """The upper end of an axis of counts from 0 that leaves room for a legend."""
    return factor * max(1e-12, *(float(np.max(v, initial=0.0)) for v in values))
