"""When each rank did what, from the ranks' records: the timeline's numbers, without a picture."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from operator import itemgetter
from typing import Annotated, Any, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from cosmic.contracts.contract import Contract
from cosmic.contracts.rank_record import RankRecord

PHASES = ("queued", "cold start", "model", "read wait", "compute", "write", "FMI wait", "closing")
BUSY = PHASES[1:]
STRAGGLER_FACTOR = 1.25
STRAGGLER_LEAST_S = 1.0
CURVE_POINTS = 240

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Timeline:
    """Ranks' phases; times in seconds since the earliest time stamp.

    Attributes:
        ranks: Rank numbers (N,), ascending.
        edges: Where phases begin and end, float64 (N, len(PHASES) + 1), never falling.
        retried: Ranks that are in their second or later attempt, bool (N,).
        stragglers: Ranks that worked much longer than most, bool (N,).
        cold: Ranks that were cold starts, bool (N,).
    """

    ranks: NDArray[np.int64]
    edges: Floats
    retried: NDArray[np.bool_]
    stragglers: NDArray[np.bool_]
    cold: NDArray[np.bool_]

    @property
    def end_s(self) -> float:
        """When the last rank ended."""
        return float(self.edges.max()) if len(self.ranks) else 0.0

    def durations(self) -> dict[str, Floats]:
        """Seconds of each phase, by its name, each (N,)."""
        return dict(zip(PHASES, np.diff(self.edges, axis=1).T, strict=True))


class RankTimes(Contract):
    """A timeline as text holds it: see `Timeline`."""

    ranks: tuple[int, ...] = Field(strict=False)
    edges: tuple[Annotated[tuple[float, ...], Field(strict=False)], ...] = Field(strict=False)
    retried: tuple[bool, ...] = Field(strict=False)
    stragglers: tuple[bool, ...] = Field(strict=False)
    cold: tuple[bool, ...] = Field(strict=False)

    @classmethod
    def of(cls, line: Timeline) -> Self:
        """Of a timeline."""
        return cls(**{name: getattr(line, name).tolist() for name in cls.model_fields})

    def line(self) -> Timeline:
        """The timeline, whose floats are what they were."""
        edges = np.array(self.edges, np.float64).reshape(len(self.ranks), len(PHASES) + 1)
        marks = (np.array(each, bool) for each in (self.retried, self.stragglers, self.cold))
        return Timeline(np.array(self.ranks, np.int64), edges, *marks)


def timeline(records: Iterable[RankRecord]) -> Timeline:
    """The ranks' phases in order of rank.

    Waiting for rows and computing alternate, block by block; each rank's are drawn as two blocks,
    the waits first. A rank that was tried again is queued from its first attempt on.
    """
    of_ranks = sorted((_of_rank(r) for r in records), key=itemgetter(0))
    ranks, retried, cold, worked_s, stamps = zip(*of_ranks, strict=True) if of_ranks else [()] * 5
    edges = np.maximum.accumulate(
        np.array(stamps).reshape(len(of_ranks), len(PHASES) + 1),
        axis=1,
    )
    edges -= edges.min() if edges.size else 0.0
    return Timeline(
        ranks=np.array(ranks, np.int64),
        edges=edges,
        retried=np.array(retried, bool),
        stragglers=_stragglers(np.array(worked_s)),
        cold=np.array(cold, bool),
    )


def _of_rank(r: RankRecord) -> tuple[int, bool, bool, float, list[float]]:
    return r.rank, r.attempt > 0, r.cold_start, r.written_at_s - r.started_at_s, _stamps(r)


def _stamps(r: RankRecord) -> list[float]:
    initialising = r.started_at_s - r.init_s
    read = min(r.model_loaded_at_s + r.read_wait_s, r.inferred_at_s)
    left = r.left_at_s if r.left_at_s is not None else r.written_at_s
    if r.fmi == "degraded":
        left = r.finished_at_s
    queued = initialising if r.queued_at_s is None else min(r.queued_at_s, initialising)
    return [
        queued,
        initialising,
        r.started_at_s,
        r.model_loaded_at_s,
        read,
        r.inferred_at_s,
        r.written_at_s,
        left,
        r.finished_at_s,
    ]


def _stragglers(worked_s: Floats) -> NDArray[np.bool_]:
    """Ranks that took 1.25 times the median, and a second more than it."""
    if not len(worked_s):
        return np.zeros(0, bool)
    median = float(np.median(worked_s))
    late: NDArray[np.bool_] = worked_s > max(STRAGGLER_FACTOR * median, median + STRAGGLER_LEAST_S)
    return late


def concurrency(line: Timeline, points: int = CURVE_POINTS) -> tuple[Floats, dict[str, Any]]:
    """How many ranks are in each phase, at evenly spaced times.

    Returns:
        Times in seconds (points,), and counts by phase of `BUSY`, each int64 (points,).
    """
    at = np.linspace(0.0, max(line.end_s, 1e-9), points)
    counts = {}
    for i, name in enumerate(PHASES):
        begun = np.searchsorted(np.sort(line.edges[:, i]), at, side="right")
        ended = np.searchsorted(np.sort(line.edges[:, i + 1]), at, side="right")
        counts[name] = begun - ended
    return at, {name: counts[name] for name in BUSY}


def peak_concurrency(line: Timeline) -> int:
    """Most ranks at once that were executing, initialisation included; exact."""
    starts, ends = line.edges[:, 1], line.edges[:, -1]
    times = np.concatenate([ends, starts])
    steps = np.concatenate([np.full(len(ends), -1), np.ones(len(starts), int)])
    order = np.argsort(times, kind="stable")
    return int(np.cumsum(steps[order]).max(initial=0))


def prevalent(line: Timeline, bands: int, times: int) -> NDArray[np.int64]:
    """What most ranks of a band are doing, at the middles of equal spans of time.

    Args:
        line: All ranks.
        bands: Of ranks in order, as equal in number as can be.
        times: Spans from 0 to the end.

    Returns:
        Index in `PHASES`, or -1 where no rank of the band has begun or all have ended, int64
        (bands, times).
    """
    band = np.arange(len(line.ranks)) * bands // max(len(line.ranks), 1)
    cells = np.ceil(line.edges / max(line.end_s, 1e-9) * times - 0.5).astype(np.int64)
    begun = np.zeros((len(PHASES) + 1, bands, times + 1), np.int64)
    for i in range(len(PHASES) + 1):
        np.add.at(begun[i], (band, np.clip(cells[:, i], 0, times)), 1)
    passed = np.cumsum(begun, axis=2)[:, :, :times]
    inside = passed[:-1] - passed[1:]
    return np.where(inside.any(axis=0), inside.argmax(axis=0), -1)
