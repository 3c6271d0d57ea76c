"""Marks as SVG elements, inside a frame that says where their data lie."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cosmic.report.chart import Axis, Boxes, Line, Mark, Pointers, Points, Steps

FAR = 20_000.0  # points beyond the picture: renderers can't be trusted with larger numbers


@dataclass(frozen=True)
class Frame:
    """Where a panel lies, and how its data get there."""

    left: float
    top: float
    width: float
    height: float
    x_axis: Axis
    y_axis: Axis

    def x(self, values: ArrayLike) -> NDArray[np.float64]:
        """Horizontal places of values."""
        return _scaled(values, self.x_axis, self.left, self.width)

    def y(self, values: ArrayLike) -> NDArray[np.float64]:
        """Vertical places of values."""
        return _scaled(values, self.y_axis, self.top + self.height, -self.height)


def _scaled(values: ArrayLike, axis: Axis, start: float, length: float) -> NDArray[np.float64]:
    share = (np.asarray(values, np.float64) - axis.low) / (axis.high - axis.low)
    return np.clip(np.round(start + length * share, 1), -FAR, FAR)


def stroke(colour: str, width: float = 0.7, *, dashed: bool = False) -> str:
    """The style of a line in a colour of the palette."""
    dash = ";stroke-dasharray:3 2" if dashed else ""
    return f'style="fill:none;stroke:var(--{colour});stroke-width:{width:g}{dash}"'


def fill(colour: str) -> str:
    """The style of an area in a colour of the palette."""
    return f'style="fill:var(--{colour})"'


def draw_mark(mark: Mark, frame: Frame) -> Iterator[str]:
    """The elements of one mark."""
    match mark:
        case Line():
            path = _polyline(frame.x(mark.x), frame.y(mark.y))
            yield f'<path d="{path}" {stroke(mark.colour, mark.width, dashed=mark.dashed)}/>'
        case Steps():
            look = fill(mark.colour) if mark.filled else stroke(mark.colour, mark.width)
            yield f'<path d="{_steps(mark, frame)}" {look}/>'
        case Points():
            yield from _points(mark, frame)
        case Boxes():
            yield f'<path class="boxes" d="{_boxes(mark, frame)}" {fill(mark.colour)}/>'
        case Pointers():
            tip = -4 if mark.left else 4
            each = zip(frame.x(mark.x), frame.y(mark.y), strict=True)
            path = "".join(f"M{x} {y}l{-tip} -2.6v5.2z" for x, y in each)
            yield f'<path d="{path}" {fill(mark.colour)}/>'


def _polyline(x: NDArray[np.float64], y: NDArray[np.float64]) -> str:
    """A path through the finite points."""
    known = np.isfinite(x) & np.isfinite(y)
    points = zip(x[known].tolist(), y[known].tolist(), strict=True)
    path = "L".join(f"{a:g} {b:g}" for a, b in points)
    return f"M{path}" if path else ""


def _steps(mark: Steps, frame: Frame) -> str:
    edges = frame.x(mark.edges).tolist()
    values = np.asarray(mark.values, np.float64)
    base = frame.y(np.broadcast_to(mark.base, values.shape)).tolist()
    across = _climb(frame.y(values).tolist(), edges[1:])
    if not mark.filled:
        return f"M{edges[0]:g} {base[0]:g}{across}V{base[-1]:g}"
    return f"M{edges[0]:g} {base[0]:g}{across}{_climb(base[::-1], edges[-2::-1])}z"


def _climb(heights: Sequence[float], ends: Sequence[float]) -> str:
    """From step to step; equal ones that follow each other are one."""
    last = len(ends) - 1
    kept = [i for i in range(len(ends)) if i == last or heights[i] != heights[i + 1]]
    return "".join(f"V{heights[i]:g}H{ends[i]:g}" for i in kept)


def _points(mark: Points, frame: Frame) -> Iterator[str]:
    x, y, y_error = (np.asarray(v, np.float64) for v in (mark.x, mark.y, mark.y_error))
    below, above = np.broadcast_to(np.asarray(mark.x_error, np.float64), (2, len(x)))
    spans = zip(
        *(frame.x(x - below), frame.x(x + above), frame.y(y)),
        *(frame.x(x), frame.y(y - y_error), frame.y(y + y_error)),
        strict=True,
    )
    found = [each for each in spans if np.isfinite(each).all()]
    bars = "".join(f"M{a} {v}H{b}M{u} {c}V{d}" for a, b, v, u, c, d in found)
    yield f'<path d="{bars}" {stroke(mark.colour, 1.1)}/>'
    dots = "".join(f"M{u} {v}h0" for _, _, v, u, _, _ in found)
    look = f"fill:none;stroke:var(--{mark.colour});stroke-width:3.8"
    yield f'<path d="{dots}" style="{look};stroke-linecap:round"/>'


def _boxes(mark: Boxes, frame: Frame) -> str:
    """Corners are rounded before widths are taken, so that neighbours meet."""
    x, y = frame.x(mark.corners[:, :2]), frame.y(mark.corners[:, 2:])
    each = zip(x.tolist(), y.tolist(), strict=True)
    return "".join(f"M{a:g} {c:g}H{b:g}V{d:g}H{a:g}z" for (a, b), (c, d) in each)
