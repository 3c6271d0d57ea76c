"""What was measured about ranks, by a calibration or in a finished run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any, NamedTuple, Self

from pydantic import ConfigDict, ValidationError

from cosmic.contracts.contract import Contract
from cosmic.contracts.engines import EngineName, Precision
from cosmic.contracts.plan import Plan
from cosmic.contracts.rank_record import RankRecord
from cosmic.errors import InvalidInput, Problem
from cosmic.planning.memory import projected_memory_mb

SERIAL_SHARE = 0.09
AROUND_S = 0.25
INIT_S = 0.6
LOAD_S = 0.7
LAUNCH_S = 0.5
AGGREGATE_S = 0.4
AGGREGATE_S_PER_ROW = 3e-6


class Measured(Contract):
    """Figures of one machine; they are for one thread unless it says otherwise.

    Attributes:
        where: The machine or the run that they come from.
        engine, precision: What ran the model.
        model_bytes: Size of the checkpoint.
        model_sha256: Its SHA-256; None if unknown, as in files of earlier versions.
        row_bytes: Size of one row in its partition, with all columns.
        rows_per_s: Rows a second of one core inside the model, by batch size.
        serial_share: The part of the model's work that more threads don't shorten (Amdahl).
        init_s: Start of the process until it takes its first invocation; None: not seen.
        load_s: Read and build the model; None: not seen.
        around_s: A rank's time around its rows: plan, shard, closing collective, record.
        launch_s: The execution's start to that of the first rank's process, and the last rank's end
            to that of `aggregate`.
        aggregate_s: Duration of `aggregate`, without the part that grows with the rows.
        aggregate_s_per_row: That part, per row.
        peak_memory_mb: Peak memory of a rank, with a batch size of `memory_batch_size`, MiB.
    """

    where: str
    engine: EngineName
    precision: Precision
    model_bytes: int
    model_sha256: str | None = None
    row_bytes: int
    rows_per_s: dict[int, float]
    serial_share: float = SERIAL_SHARE
    init_s: float | None
    load_s: float | None
    around_s: float = AROUND_S
    launch_s: float = LAUNCH_S
    aggregate_s: float = AGGREGATE_S
    aggregate_s_per_row: float = AGGREGATE_S_PER_ROW
    peak_memory_mb: int
    memory_batch_size: int


class _Run(Contract):
    """What is needed of `metrics.json`'s `run`."""

    model_config = ConfigDict(extra="ignore", strict=False, frozen=True)

    batch_size: int
    model_bytes: int
    model_sha256: str | None = None
    engine: EngineName
    precision: Precision
    rows: int
    wall_s: float
    aggregate_s: float


class _Metrics(Contract):
    model_config = ConfigDict(extra="ignore", strict=False, frozen=True)

    run: _Run
    ranks: tuple[RankRecord, ...]


def speed_up(threads: int, serial_share: float) -> float:
    """How much faster several threads are than one (Amdahl's law)."""
    return threads / (1 + serial_share * (threads - 1))


def from_metrics(document: Any, where: str) -> Measured:
    """The figures of a finished run, as they would be if each rank had had cores of its own.

    If ranks shared cores, or had less than a core each, everything took longer. A prediction
    stretches the times according to how the predicted run shares cores, so these figures must not
    contain such a stretch.

    Args:
        document: Its `metrics.json`.
        where: What to call it.

    Raises:
        InvalidInput: fields are missing or wrong, or no rank has computed rows.
    """
    try:
        metrics = _Metrics.model_validate(document)
    except ValidationError as error:
        hint = "give a metrics.json that this version of Cosmic wrote"
        raise InvalidInput([_problem(e["loc"], e["msg"], hint) for e in error.errors()]) from error
    ranks = [r for r in metrics.ranks if r.rows]
    rates = [rate for rank in ranks if (rate := _rate(rank)) is not None]
    if not rates:
        message = "no rank has rows that it computed itself"
        raise InvalidInput([Problem("/ranks", message, [], "use a run that has rows")])
    run, alone = metrics.run, _Alone(_stretch(ranks))
    cold = [r for r in ranks if r.cold_start]
    warm_s = min((alone.load_s(r) for r in ranks if not r.cold_start), default=0.0)
    began_s = min(r.started_at_s - r.init_s for r in ranks)
    span_s = max(r.finished_at_s for r in ranks) - began_s
    merge_s = max(0.0, run.aggregate_s - AGGREGATE_S_PER_ROW * run.rows)
    return Measured(
        where=where,
        engine=run.engine,
        precision=run.precision,
        model_bytes=run.model_bytes,
        model_sha256=run.model_sha256,
        row_bytes=round(sum(r.bytes_read for r in ranks) / sum(r.rows for r in ranks)),
        rows_per_s={run.batch_size: median(rates)},
        init_s=median(alone.init_s(r) for r in cold) if cold else None,
        load_s=max(0.0, median(alone.load_s(r) for r in cold) - warm_s) if cold else None,
        # The last rank to arrive waits for no other.
        around_s=warm_s + min(alone.end_s(r) for r in ranks),
        launch_s=max(0.0, run.wall_s - span_s - run.aggregate_s),
        aggregate_s=merge_s,
        peak_memory_mb=max(r.peak_memory_mb for r in ranks),
        memory_batch_size=run.batch_size,
    )


@dataclass(frozen=True)
class Subject:
    """What a rate is about.

    Attributes:
        row_bytes: Of one row in its partition, all columns.
        model_sha256: Of the checkpoint's bytes; None: it doesn't matter.
    """

    model_bytes: int
    row_bytes: int
    batch_size: int
    engine: EngineName
    precision: Precision
    model_sha256: str | None = None

    @classmethod
    def of_plan(cls, plan: Plan) -> Self:
        """A plan's model, and its widest rows."""
        return cls(
            model_bytes=plan.model.bytes,
            row_bytes=max(p.row_bytes for p in plan.partitions),
            batch_size=plan.batch_size,
            engine=plan.engine,
            precision=plan.precision,
            model_sha256=plan.model.sha256,
        )


def at_rate(rows_per_s: float, plan: Plan) -> Measured:
    """A rate that the user states for a plan's model, with usual times around it."""
    return usual(rows_per_s, Subject.of_plan(plan))


def usual(rows_per_s: float, subject: Subject) -> Measured:
    """A rate with usual times around it."""
    model, row, batch_size = subject.model_bytes, subject.row_bytes, subject.batch_size
    return Measured(
        where="stated, not measured; usual start-up times",
        engine=subject.engine,
        precision=subject.precision,
        model_bytes=model,
        model_sha256=subject.model_sha256,
        row_bytes=row,
        rows_per_s={batch_size: rows_per_s},
        init_s=INIT_S,
        load_s=LOAD_S,
        peak_memory_mb=projected_memory_mb(model, row, batch_size, subject.engine),
        memory_batch_size=batch_size,
    )


def unlike(measured: Measured, model_sha256: str, engine: EngineName, precision: Precision) -> str:
    """Why figures don't apply to a model with an engine and a precision; empty if they do."""
    if measured.model_sha256 is None:
        return f"{measured.where} doesn't say which model it is of"
    if measured.model_sha256 != model_sha256:
        was = measured.model_sha256[:12]
        return f"{measured.where} is of another model (sha256 {was}..., not {model_sha256[:12]}...)"
    was, wanted = f"{measured.engine}, {measured.precision}", f"{engine}, {precision}"
    return "" if was == wanted else f"{measured.where} is of {was}, not of {wanted}"


def _rate(rank: RankRecord) -> float | None:
    """Rows a second of one thread on a core of its own; None if others computed all of them.

    By processor time, which does not grow where ranks share cores.
    """
    rows = rank.rows - rank.rows_given
    threads_s = rank.compute_cpu_s or rank.compute_s * rank.threads
    if not rows or not threads_s:
        return None
    return rows / threads_s * rank.threads / speed_up(rank.threads, SERIAL_SHARE)


def _stretch(ranks: Sequence[RankRecord]) -> float:
    """How many times longer computing took than on cores of a rank's own.

    As inside the model, where a rank waits for nothing but the processor.
    """
    shared = [r.compute_s * r.threads / r.compute_cpu_s for r in ranks if r.compute_cpu_s]
    return max(1.0, median(shared)) if shared else 1.0


class _Alone(NamedTuple):
    """Times of a rank as they are on cores of its own.

    Attributes:
        stretch: How many times longer computing took.
    """

    stretch: float

    def init_s(self, rank: RankRecord) -> float:
        """Start of its process."""
        return self._of(rank.init_s, rank.init_cpu_s)

    def load_s(self, rank: RankRecord) -> float:
        """Until its model is there."""
        return self._of(rank.model_loaded_at_s - rank.started_at_s, rank.load_cpu_s)

    def end_s(self, rank: RankRecord) -> float:
        """From its last row, other ranks waited for."""
        cpu_s = None
        if None not in (rank.cpu_s, rank.load_cpu_s, rank.compute_cpu_s):
            spent_s = (rank.load_cpu_s or 0.0) + (rank.compute_cpu_s or 0.0)
            cpu_s = max(0.0, (rank.cpu_s or 0.0) - spent_s)
        return self._of(rank.finished_at_s - rank.inferred_at_s, cpu_s)

    def _of(self, wall_s: float, cpu_s: float | None) -> float:
        """At least the processor's time, which sharing hardly changes."""
        return min(wall_s, max(cpu_s or 0.0, wall_s / self.stretch))


def _problem(loc: tuple[int | str, ...], message: str, hint: str) -> Problem:
    return Problem("".join(f"/{part}" for part in loc), message, None, hint, "not-metrics")
