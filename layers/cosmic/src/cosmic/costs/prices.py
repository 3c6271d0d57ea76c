"""The one table of prices; the numbers with their regions, dates and sources are `prices.json`."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Literal

from cosmic.contracts.engines import Architecture

PriceName = Literal[
    "lambda_gb_second.x86_64",
    "lambda_gb_second.arm64",
    "lambda_request",
    "state_transition",
    "s3_put",
    "s3_get",
]


@dataclass(frozen=True)
class Price:
    """A list price.

    Attributes:
        usd: US dollars per unit.
        unit: What is counted.
        region: AWS region in which it holds.
        date: When it was noted, ISO 8601.
        source: Where it is published, and how it was obtained.
    """

    usd: float
    unit: str
    region: str
    date: str
    source: str


@cache
def price_table() -> dict[str, Price]:
    """All prices by name."""
    table = json.loads(files("cosmic.costs").joinpath("prices.json").read_text())
    return {name: Price(**price) for name, price in table.items()}


def price(name: PriceName) -> Price:
    """One price."""
    return price_table()[name]


def gb_second(architecture: Architecture) -> Price:
    """The price of a gigabyte of configured memory for a second."""
    return price_table()[f"lambda_gb_second.{architecture}"]
