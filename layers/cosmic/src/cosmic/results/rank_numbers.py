"""What a run's summary adds up over the ranks, of each record."""

from __future__ import annotations

from collections.abc import Iterable
from operator import attrgetter
from typing import NamedTuple

from cosmic.contracts.rank_record import RankRecord
from cosmic.costs.bill import billed_s


class RankNumbers(NamedTuple):
    """Fields of a `RankRecord` under their names; `billed_s` is as the bill has it."""

    billed_s: float
    rank: int
    fmi: str
    attempt: int
    cold_start: bool
    started_at_s: float
    inferred_at_s: float
    written_at_s: float
    finished_at_s: float
    bytes_read: int
    download_s: float
    read_wait_s: float
    compute_s: float
    rows_given: int
    helped_s: float
    helped_compute_s: float
    idle_s: float
    threads: int
    peak_memory_mb: int


_FIELDS = attrgetter(*RankNumbers._fields[1:])


def numbers_of(records: Iterable[RankRecord]) -> list[RankNumbers]:
    """The numbers of each rank, in one pass: 0.6 KB a rank."""
    return [RankNumbers(billed_s(record), *_FIELDS(record)) for record in records]
