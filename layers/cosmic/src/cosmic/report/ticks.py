"""Round numbers along an axis."""

from __future__ import annotations

import math

from cosmic.report.chart import Axis
from cosmic.report.formatting import short_count

STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)
PLAIN_UP_TO = 1e5


def ticks(axis: Axis) -> list[tuple[float, str]]:
    """Places and labels on an axis, inside its limits."""
    low, high = sorted((axis.low, axis.high))
    if axis.ticks is not None:
        return [tick for tick in axis.ticks if low <= tick[0] <= high]
    step = _step(high - low, axis.most_ticks, whole=axis.whole)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    places = [step * i for i in range(first, last + 1)]
    digits = _digits(step)
    plain = max(abs(low), abs(high)) < PLAIN_UP_TO
    return [(at, _label(at, digits, counted=axis.counted, plain=plain)) for at in places]


def _step(span: float, most: int, *, whole: bool) -> float:
    """The smallest round step that gives at most this many ticks."""
    least = span / max(most, 1)
    power = 10.0 ** math.floor(math.log10(least))
    step = next(s * power for s in STEPS if s * power >= least * (1 - 1e-9))
    return max(1.0, math.ceil(step)) if whole else step


def _digits(step: float) -> int:
    """Decimals that tell multiples of a step apart."""
    digits = max(0, -math.floor(math.log10(step)))
    scaled = step * 10.0**digits
    return digits + int(abs(scaled - round(scaled)) > 1e-6)


def _label(at: float, digits: int, *, counted: bool, plain: bool) -> str:
    if counted:
        return short_count(at)
    text = f"{at:.{digits}f}" if plain else f"{at:.3g}"
    return "0" if float(text) == 0 and not digits else text.replace("-", "−")
