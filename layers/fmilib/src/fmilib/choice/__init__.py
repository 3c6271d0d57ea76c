"""Which channel: time and money of each operation, measured, explained, and chosen by a hint."""

from __future__ import annotations

from fmilib.choice.advising import Advisor
from fmilib.choice.explaining import Estimate, Explanation, choose, explain
from fmilib.choice.hints import Hint, named, slo
from fmilib.choice.prices import Prices, prices
from fmilib.choice.rates import ASSUMED, Meter, Rates
from fmilib.choice.shapes import Shape, shape

__all__ = [
    "ASSUMED",
    "Advisor",
    "Estimate",
    "Explanation",
    "Hint",
    "Meter",
    "Prices",
    "Rates",
    "Shape",
    "choose",
    "explain",
    "named",
    "prices",
    "shape",
    "slo",
]
