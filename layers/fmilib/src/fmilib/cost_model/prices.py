"""What time and requests cost; the numbers, their date and sources are in `prices.json`."""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass
from pathlib import Path

SECONDS_AN_HOUR = 3600.0


@dataclass(frozen=True, slots=True)
class Prices:
    """Prices in dollars.

    Attributes:
        as_of: when they were looked up.
        lambda_gb_second: a GB of a function's memory for a second.
        s3_put, s3_get: one request.
        redis_node_hour: a Redis node for an hour.
        rendezvous_hour: the rendezvous's host for an hour.
    """

    as_of: str
    lambda_gb_second: float
    s3_put: float
    s3_get: float
    redis_node_hour: float
    rendezvous_hour: float


@functools.cache
def prices() -> Prices:
    """Return the prices of the data file."""
    table = json.loads(Path(__file__).with_name("prices.json").read_text())
    names = ("lambda_gb_second", "s3_put", "s3_get", "redis_node_hour", "rendezvous_hour")
    return Prices(table["as_of"], *(float(table[name]["price"]) for name in names))
