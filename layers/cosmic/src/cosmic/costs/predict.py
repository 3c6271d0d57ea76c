"""Duration, memory and cost of a run in one configuration, before it is run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cosmic.contracts.vcpus import MB_PER_VCPU, threads_for_memory
from cosmic.costs.bill import Line, bill, billed_apart, billed_ms, total_usd
from cosmic.costs.counts import Configuration, Counts, Job, count, row_reads, shares
from cosmic.costs.measured import Measured, speed_up
from cosmic.costs.platform import Platform
from cosmic.errors import InputError
from cosmic.planning.memory import projected_memory_mb

AGGREGATE_MB = MB_PER_VCPU  # of `aggregate`, as template.yaml configures it

Seconds = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Prediction:
    """What a configuration is expected to take.

    Attributes:
        wall_s: Time from the execution's start to the catalogue, as `wall_s` in `metrics.json`.
        rank_s: Time of the slowest rank, with start-up and waiting for others.
        compute_s: Time inside the model, summed over ranks.
        billed_s: Billed time, summed over ranks.
        idle_s: The part of it that is spent waiting at the closing collective.
        peak_memory_mb: Peak memory of a rank.
        needs_mb: The memory that `init` requires of the function, a safe bound.
        counts: What is billed by number.
        lines: The bill.
    """

    configuration: Configuration
    wall_s: float
    rank_s: float
    compute_s: float
    billed_s: float
    idle_s: float
    peak_memory_mb: int
    needs_mb: int
    counts: Counts
    lines: tuple[Line, ...]

    @property
    def usd(self) -> float:
        """The bill's total."""
        return total_usd(self.lines)

    def as_dict(self, rows: int) -> dict[str, Any]:
        """As JSON, without the bill's lines."""
        c = self.configuration
        return {
            "architecture": c.architecture,
            "memory_mb": c.memory_mb,
            "world_size": c.world_size,
            "batch_size": c.batch_size,
            "partition_rows": c.partition_rows,
            "wall_s": self.wall_s,
            "rank_s": self.rank_s,
            "compute_s_summed": self.compute_s,
            "billed_s_summed": self.billed_s,
            "idle_s_summed": self.idle_s,
            "peak_memory_mb": self.peak_memory_mb,
            "needs_mb": self.needs_mb,
            "usd": self.usd,
            "usd_per_million_rows": self.usd / rows * 1e6,
            "rows_per_wall_s": rows / self.wall_s,
        }


class Timeline(NamedTuple):
    """Seconds of each rank (world,), the first three from the execution's start.

    Attributes:
        arrives: When it starts.
        done: When its own work is done.
        left: When it ends, having waited for others.
        compute: Inside the model.
    """

    arrives: Seconds
    done: Seconds
    left: Seconds
    compute: Seconds

    @property
    def billed(self) -> Seconds:
        """What the rank is billed for."""
        return self.left - self.arrives


def predict(job: Job, how: Configuration, measured: Measured, platform: Platform) -> Prediction:
    """What a run is expected to take; every formula is in docs/tuning.md.

    Raises:
        InputError: the job starts cold and no cold start was measured, or nothing was measured with
            this batch size.
    """
    ranks = _timeline(job, how, measured, platform)
    merging_s = merge_s(job, measured, platform)
    counts = count(job, how, platform.slots(how.world_size))
    billed = [(billed_ms(s), how.memory_mb) for s in ranks.billed.tolist()]
    aggregate = (billed_ms(merging_s), AGGREGATE_MB)
    usage = counts.usage(*billed_apart(billed, aggregate, how.architecture))
    needs, beyond_measured = _memory(job, how, measured)
    return Prediction(
        configuration=how,
        wall_s=float(ranks.left.max()) + merging_s,
        rank_s=float(ranks.billed.max()),
        compute_s=float(ranks.compute.sum()),
        billed_s=float(ranks.billed.sum()),
        idle_s=float((ranks.left - ranks.done).sum()),
        peak_memory_mb=measured.peak_memory_mb + beyond_measured,
        needs_mb=needs,
        counts=counts,
        lines=tuple(bill(usage)),
    )


class Work(NamedTuple):
    """What each rank has to do by itself.

    Attributes:
        batches: Batches of each rank (world,).
        batch_s: Time of one batch in the model.
        download_s: Time to download its rows.
        start_s: Time that a cold rank takes before it requests its first rows.
        around_s: Time of a rank around its rows.
    """

    batches: NDArray[np.int64]
    batch_s: float
    download_s: float
    start_s: float
    around_s: float


def work(job: Job, how: Configuration, measured: Measured, platform: Platform) -> Work:
    """What the ranks of a run have to do.

    Raises:
        InputError: as `predict`.
    """
    threads = threads_for_memory(how.memory_mb)
    slower = platform.contention(platform.slots(how.world_size), threads) / platform.vcpu_speed
    core_s = slower / min(1.0, platform.vcpus(how.memory_mb))
    return Work(
        batches=shares(job, how).batches,
        batch_s=_batch_s(measured, how, threads) * core_s,
        download_s=how.batch_size * job.row_bytes / platform.s3_bytes_per_s,
        start_s=_start_s(job, measured, platform, core_s),
        around_s=measured.around_s * core_s,
    )


def merge_s(job: Job, measured: Measured, platform: Platform) -> float:
    """How long `aggregate` takes."""
    return (measured.aggregate_s + measured.aggregate_s_per_row * job.rows) / platform.vcpu_speed


def _timeline(job: Job, how: Configuration, measured: Measured, platform: Platform) -> Timeline:
    """When each rank does what; reading hides behind computing, or computing behind reading."""
    each, slots = work(job, how, measured, platform), platform.slots(how.world_size)
    compute, download = each.batches * each.batch_s, each.batches * each.download_s
    # S3 answers a second's worth of reads at once.
    answered_s = row_reads(job, how) / how.world_size * slots / platform.s3_gets_per_s - 1
    reading = np.maximum(download, answered_s)
    busy = np.maximum(compute, reading) + platform.s3_latency_s + each.around_s
    busy[:slots] += each.start_s
    arrives = _arrivals(job, busy, slots, platform)
    done = arrives + busy
    left = done if job.channel == "none" else np.minimum(done.max(), done + job.fmi_timeout_s)
    return Timeline(arrives, done, left, compute)


def _memory(job: Job, how: Configuration, measured: Measured) -> tuple[int, int]:
    """MiB that `init` demands, and how much that is beyond what it would of the measured rank."""
    model, engine = measured.model_bytes, measured.engine
    threads = threads_for_memory(how.memory_mb)
    needs = projected_memory_mb(model, job.row_bytes, how.batch_size, engine, threads)
    was = projected_memory_mb(model, measured.row_bytes, measured.memory_batch_size, engine)
    return needs, needs - was


def _batch_s(measured: Measured, how: Configuration, threads: int) -> float:
    """Seconds of one batch on cores of the measured machine."""
    rate = measured.rows_per_s.get(how.batch_size)
    if rate is None:
        known = ", ".join(map(str, sorted(measured.rows_per_s)))
        raise InputError(f"nothing was measured with batch size {how.batch_size}", hint=known)
    return how.batch_size / (rate * speed_up(threads, measured.serial_share))


def _start_s(job: Job, measured: Measured, platform: Platform, core_s: float) -> float:
    """A rank's time before its first rows are asked for, that of a warm one being in `around_s`."""
    if not job.cold:
        return 0.0
    if measured.init_s is None or measured.load_s is None:
        raise InputError(
            "no cold start was measured",
            code="no-cold-start",
            hint="use the metrics of a run that started cold, measure here, or ask for a warm run",
        )
    model_s = measured.model_bytes / platform.s3_bytes_per_s
    return (measured.init_s + measured.load_s) * core_s + model_s


def _arrivals(job: Job, busy: Seconds, slots: int, platform: Platform) -> Seconds:
    """When each rank starts, from the execution's start.

    Only the first `slots` ranks start at once; each later one takes the place, and the warm
    environment, of the rank `slots` before it.
    """
    rank = np.arange(len(busy))
    arrives: Seconds = platform.launch_s + rank / platform.starts_per_s
    if job.cold:
        pauses = rank[:slots] // platform.environments_at_once * platform.environments_pause_s
        arrives[:slots] = np.maximum(arrives[:slots], platform.launch_s + pauses)
    for at in range(slots, len(busy), slots):
        wave = slice(at, min(at + slots, len(busy)))
        before = slice(at - slots, wave.stop - slots)
        arrives[wave] = np.maximum(arrives[wave], arrives[before] + busy[before])
    return arrives
