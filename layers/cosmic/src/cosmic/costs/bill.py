"""The bill: what a run costs on AWS, line by line, each with its formula."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from functools import cache
from importlib.resources import files
from typing import Any

TRANSITIONS_OF_A_RUN = 7
TRANSITIONS_OF_A_RANK = 3
TRANSITIONS_OF_A_LOOK = 3  # Admit, HasRoom, WaitForRoom: once more for a run that waits


@dataclass(frozen=True)
class Usage:
    """What was used.

    Attributes:
        lambda_billed_ms: Billed milliseconds and configured MB of each invocation.
        state_transitions: Step Functions standard transitions.
        s3_puts: PUT, COPY, POST and LIST requests.
        s3_gets: GET and HEAD requests.
    """

    lambda_billed_ms: tuple[tuple[int, int], ...]
    state_transitions: int = 0
    s3_puts: int = 0
    s3_gets: int = 0


@dataclass(frozen=True)
class Line:
    """A line of the bill in US dollars."""

    item: str
    formula: str
    usd: float


@cache
def price_table() -> dict[str, Any]:
    """Prices in US dollars with their region, date and source."""
    table: dict[str, Any] = json.loads(files("cosmic.costs").joinpath("prices.json").read_text())
    return table


def billed_ms(duration_s: float) -> int:
    """Lambda bills whole milliseconds, rounded up."""
    return math.ceil(duration_s * 1000)


def transitions(world_size: int, retries: int = 0, looks: int = 0) -> int:
    """State transitions of a run; each retry of a rank is one more, each look for room three."""
    waiting = TRANSITIONS_OF_A_LOOK * looks
    return TRANSITIONS_OF_A_RUN + TRANSITIONS_OF_A_RANK * world_size + retries + waiting


def bill(usage: Usage, architecture: str = "x86_64") -> list[Line]:
    """The lines of the bill; configured memory counts, not what was used."""
    prices = price_table()
    gb_s_price = prices["lambda_gb_second"][architecture]
    gb_s = sum(ms / 1000 * mb / 1024 for ms, mb in usage.lambda_billed_ms)
    calls = len(usage.lambda_billed_ms)
    return [
        Line(
            "Lambda duration",
            f"{gb_s:.3f} GB-s of configured memory x ${gb_s_price}",
            gb_s * gb_s_price,
        ),
        _per_unit("Lambda requests", calls, prices["lambda_request"]),
        _per_unit("Step Functions", usage.state_transitions, prices["state_transition"]),
        _per_unit("S3 writes and lists", usage.s3_puts, prices["s3_put"]),
        _per_unit("S3 reads", usage.s3_gets, prices["s3_get"]),
    ]


def _per_unit(item: str, count: int, price: float) -> Line:
    return Line(item, f"{count} x ${price:.8f}", count * price)


def bill_document(lines: list[Line], rows: int) -> dict[str, Any]:
    """The bill as JSON: lines, total, per million rows, and the price table's date and source."""
    total = sum(line.usd for line in lines)
    prices = price_table()
    return {
        "usd": total,
        "usd_per_million_rows": total / rows * 1e6 if rows else None,
        "lines": [asdict(line) for line in lines],
        "prices": {k: prices[k] for k in ("region", "date", "source")},
    }
