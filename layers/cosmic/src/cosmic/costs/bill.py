"""The bill: what a run costs on AWS, line by line, each with its formula."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from cosmic.contracts.clocks import AWS
from cosmic.contracts.engines import Architecture
from cosmic.contracts.rank_record import RankRecord
from cosmic.costs.prices import Price, gb_second, price

if TYPE_CHECKING:
    from cosmic.storage.interfaces import Requests

TRANSITIONS_OF_A_RUN = 7
TRANSITIONS_OF_A_RANK = 3
TRANSITIONS_OF_A_LOOK = 3  # Admit, HasRoom, WaitForRoom: once more for a run that waits


Billed = tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Usage:
    """What was used.

    Attributes:
        lambda_billed_ms: Billed milliseconds and configured MB of each invocation on x86_64.
        state_transitions: Step Functions standard transitions.
        s3_puts: PUT, COPY, POST and LIST requests.
        s3_gets: GET and HEAD requests.
        arm64_billed_ms: The same of each invocation on arm64.
    """

    lambda_billed_ms: Billed
    state_transitions: int = 0
    s3_puts: int = 0
    s3_gets: int = 0
    arm64_billed_ms: Billed = ()


@dataclass(frozen=True)
class Line:
    """A line of the bill.

    Attributes:
        item: What is billed.
        formula: Quantity times price, as text.
        usd: US dollars.
        price: The price with its region, date and source.
    """

    item: str
    formula: str
    usd: float
    price: Price = field(compare=False)


def billed_ms(duration_s: float) -> int:
    """Lambda bills whole milliseconds, rounded up."""
    return math.ceil(duration_s * 1000)


def billed_s(record: RankRecord) -> float:
    """Seconds for which a rank is billed, the start of its environment included."""
    return record.init_s + record.finished_at_s - record.started_at_s


def invocation(record: RankRecord) -> tuple[int, int]:
    """Billed milliseconds and configured MB of a rank."""
    return billed_ms(billed_s(record)), record.memory_mb


def billed_apart(
    ranks: Iterable[tuple[int, int]], aggregate: tuple[int, int], architecture: Architecture
) -> tuple[Billed, Billed]:
    """Invocations of a run on x86_64 and those on arm64: `aggregate` is always on x86_64.

    Args:
        ranks: Billed milliseconds and configured MB of each rank.
        aggregate: The same of `aggregate`.
        architecture: Of the ranks.
    """
    arm = tuple(ranks) if architecture == "arm64" else ()
    return (aggregate,) if arm else (*ranks, aggregate), arm


def transitions(ranks: int, retries: int = 0, looks: int = 0) -> int:
    """State transitions of a run: the only place where they are counted.

    Prediction, progress and bill all call this; the test of the state machine holds both constants
    to `infra/statemachine/pipeline.asl.json`. A standard workflow is billed for each state entered.

    Args:
        ranks: Ranks that were started, each a child execution: start, `Rank`, `Done`.
        retries: Further attempts of ranks; Step Functions bills each as one transition.
        looks: How often the run looked for room and had to wait.

    Returns:
        The transitions of the execution itself (start, its states, end) and of its ranks.
    """
    waiting = TRANSITIONS_OF_A_LOOK * looks
    return TRANSITIONS_OF_A_RUN + TRANSITIONS_OF_A_RANK * ranks + retries + waiting


def usage_of_run(
    records: Iterable[RankRecord],
    world_size: int,
    aggregate: tuple[int, int],
    requests: Requests,
    looks: int = 0,
    architecture: Architecture = "x86_64",
) -> Usage:
    """What a finished run used, from what its ranks recorded.

    Args:
        records: Of the ranks that have one.
        world_size: Ranks that were started.
        aggregate: Billed milliseconds and configured MB of `aggregate`.
        requests: Of `aggregate` to S3 for this run.
        looks: How often the run looked for room and had to wait.
        architecture: Of the ranks.
    """
    ranks, retries, reads, writes = list[tuple[int, int]](), 0, 0, 0
    for record in records:  # in one pass: each parses them
        ranks.append(invocation(record))
        retries += record.attempt
        reads += record.s3_reads
        writes += record.s3_writes
    x86_64, arm64 = billed_apart(ranks, aggregate, architecture)
    return Usage(
        lambda_billed_ms=x86_64,
        state_transitions=transitions(world_size, retries, looks),
        s3_gets=requests.reads + reads,
        s3_puts=requests.writes + writes,
        arm64_billed_ms=arm64,
    )


def bill(usage: Usage) -> list[Line]:
    """The lines of the bill; configured memory counts, not what was used."""
    x86_64, arm64 = usage.lambda_billed_ms, usage.arm64_billed_ms
    durations = [_duration("Lambda duration", x86_64, "x86_64")]
    if arm64:
        durations.append(_duration("Lambda duration on arm64", arm64, "arm64"))
    return [*durations, *counted_lines(len(x86_64) + len(arm64), usage)]


def _duration(item: str, billed: Billed, architecture: Architecture) -> Line:
    memory = gb_second(architecture)
    gb_s = sum(ms / 1000 * mb / 1024 for ms, mb in billed)
    formula = f"{gb_s:.3f} GB-s of configured memory x ${memory.usd}"
    return Line(item, formula, gb_s * memory.usd, memory)


def counted_lines(invocations: int, usage: Usage) -> list[Line]:
    """The lines for what is billed by number, not by time."""
    return [
        _per_unit("Lambda requests", invocations, price("lambda_request")),
        _per_unit("Step Functions", usage.state_transitions, price("state_transition")),
        _per_unit("S3 writes and lists", usage.s3_puts, price("s3_put")),
        _per_unit("S3 reads", usage.s3_gets, price("s3_get")),
    ]


def _per_unit(item: str, count: int, unit: Price) -> Line:
    return Line(item, f"{count} x ${unit.usd:.8f}", count * unit.usd, unit)


def total_usd(lines: Iterable[Line]) -> float:
    """The sum of a bill's lines, in US dollars."""
    return sum(line.usd for line in lines)


def bill_document(lines: Sequence[Line], rows: int, clock: str = AWS) -> dict[str, Any]:
    """The bill as JSON: lines with prices, total, total per million rows, and whose clock it was.

    `prices` sums up the region, the earliest date and the sources of the prices that were used.
    """
    total = total_usd(lines)
    return {
        "usd": total,
        "usd_per_million_rows": total / rows * 1e6 if rows else None,
        "clock": clock,
        "lines": [asdict(line) for line in lines],
        "prices": {
            "region": _listed(line.price.region for line in lines),
            "date": min(line.price.date for line in lines),
            "source": _listed(line.price.source for line in lines),
        },
    }


def _listed(texts: Iterable[str]) -> str:
    return "; ".join(dict.fromkeys(texts))
