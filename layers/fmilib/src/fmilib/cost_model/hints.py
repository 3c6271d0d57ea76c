"""What a user wants of the choice: `fast`, `cheap`, or the cheapest within a bound."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Hint:
    """What to look for.

    Attributes:
        name: as users write it.
        by_price: whether the cheapest is taken, else the fastest.
        bound_s: seconds that an operation may take; infinite for no bound.
    """

    name: str
    by_price: bool
    bound_s: float = math.inf

    def __str__(self) -> str:
        return self.name


FAST = Hint("fast", by_price=False)
CHEAP = Hint("cheap", by_price=True)


def slo(seconds: float) -> Hint:
    """Return the hint for the cheapest channel that needs at most so long.

    Raises:
        ValueError: no time at all.
    """
    if not seconds > 0:
        raise ValueError(f"a bound must be above 0 seconds, got {seconds}")
    return Hint(f"slo({seconds:g})", by_price=True, bound_s=seconds)


def named(hint: str | Hint) -> Hint:
    """Return the hint that a name means: "fast", "cheap" or "slo(seconds)".

    Raises:
        ValueError: no hint has that name.
    """
    if isinstance(hint, Hint):
        return hint
    if hint in ("fast", "cheap"):
        return FAST if hint == "fast" else CHEAP
    if hint.startswith("slo(") and hint.endswith(")"):
        return slo(float(hint[4:-1]))
    raise ValueError(f"a hint is fast, cheap or slo(seconds), got {hint!r}")
