"""Duration, memory and cost of a run in one configuration, before it is run."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cosmic.costs.bill import Line, Usage, bill, billed_ms, transitions
from cosmic.costs.measured import Measured, speed_up
from cosmic.costs.platform import Platform
from cosmic.data.blocks import BLOCK_BYTES
from cosmic.data.ranges import PART_BYTES
from cosmic.errors import InputError
from cosmic.model.engine import threads_for_memory
from cosmic.planning.memory import projected_memory_mb

AGGREGATE_MB = 1769
FMI_TIMEOUT_S = 60.0

Seconds = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Job:
    """What is to be done.

    Attributes:
        rows: In all.
        cold: Whether all environments have yet to start.
        channel: Of FMI, or `none`; ranks that talk leave together.
    """

    rows: int
    cold: bool = True
    channel: str = "direct"


@dataclass(frozen=True, order=True)
class Configuration:
    """How it is done; all four are free to choose."""

    memory_mb: int
    world_size: int
    batch_size: int
    partition_rows: int


@dataclass(frozen=True)
class Prediction:
    """What a configuration is expected to take.

    Attributes:
        wall_s: From the execution's start to the catalogue, as `wall_s` in `metrics.json`.
        rank_s: Of the slowest rank, start-up and waiting for others in it.
        compute_s: Inside the model, all ranks summed.
        billed_s: Of all ranks, summed.
        idle_s: Of that, waiting for others at the closing collective.
        peak_memory_mb: Of a rank.
        needs_mb: What `init` demands of the function, a safe bound.
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
    lines: tuple[Line, ...]

    @property
    def usd(self) -> float:
        """The bill's total."""
        return sum(line.usd for line in self.lines)

    def as_dict(self, rows: int) -> dict[str, Any]:
        """As JSON, without the bill's lines."""
        c = self.configuration
        return {
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


def batches_of_ranks(rows: int, partition_rows: int, batch_size: int, world: int) -> Seconds:
    """Batches of each rank, as `share_rows` cuts equal partitions (the last shorter).

    Returns:
        (world,) float64 whole numbers; they differ by 1 at the most.
    """
    whole, rest = divmod(rows, partition_rows)
    batches = whole * math.ceil(partition_rows / batch_size) + math.ceil(rest / batch_size)
    cuts = batches * np.arange(world + 1, dtype=np.int64) // world
    return np.diff(cuts).astype(np.float64)


def predict(job: Job, how: Configuration, measured: Measured, platform: Platform) -> Prediction:
    """What a run is expected to take; every formula is in docs/tuning.md.

    Raises:
        InputError: the job starts cold and no cold start was measured, or nothing was measured with
            this batch size.
    """
    batches = batches_of_ranks(job.rows, how.partition_rows, how.batch_size, how.world_size)
    threads = threads_for_memory(how.memory_mb)
    slower = platform.contention(how.world_size, threads) / platform.vcpu_speed
    core_s = slower / min(1.0, platform.vcpus(how.memory_mb))
    compute = batches * (_batch_s(measured, how, threads) * core_s)
    download = batches * (how.batch_size * measured.row_bytes / platform.s3_bytes_per_s)
    start_s = _start_s(job, measured, platform, core_s)
    busy = start_s + np.maximum(compute, download) + platform.s3_latency_s
    busy += measured.around_s * core_s
    arrives = _arrivals(job, how.world_size, platform)
    done = arrives + busy
    left = done if job.channel == "none" else np.minimum(done.max(), done + FMI_TIMEOUT_S)
    billed = left - arrives
    merge_s = measured.aggregate_s + measured.aggregate_s_per_row * job.rows
    needs, was = (
        projected_memory_mb(measured.model_bytes, measured.row_bytes, size, measured.engine)
        for size in (how.batch_size, measured.memory_batch_size)
    )
    return Prediction(
        configuration=how,
        wall_s=float(left.max()) + merge_s / platform.vcpu_speed,
        rank_s=float(billed.max()),
        compute_s=float(compute.sum()),
        billed_s=float(billed.sum()),
        idle_s=float((left - done).sum()),
        peak_memory_mb=measured.peak_memory_mb + needs - was,
        needs_mb=needs,
        lines=tuple(bill(_usage(job, how, measured, billed, merge_s / platform.vcpu_speed))),
    )


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


def _arrivals(job: Job, world_size: int, platform: Platform) -> Seconds:
    """When each rank starts, from the execution's start."""
    rank = np.arange(world_size)
    started: Seconds = platform.launch_s + rank / platform.starts_per_s
    if not job.cold:
        return started
    full: Seconds = rank // platform.environments_at_once * platform.environments_pause_s
    allowed: Seconds = np.maximum(started, platform.launch_s + full)
    return allowed


def _usage(
    job: Job, how: Configuration, measured: Measured, billed: Seconds, merge_s: float
) -> Usage:
    """What `aggregate` would find used."""
    ranks = [(billed_ms(s), how.memory_mb) for s in billed.tolist()]
    data = job.rows * measured.row_bytes
    blocks = math.ceil(data / BLOCK_BYTES) + how.world_size
    partitions = math.ceil(job.rows / how.partition_rows)
    ranges = math.ceil(data / PART_BYTES) + blocks
    of_ranks = how.world_size * (2 if job.cold else 1)
    return Usage(
        lambda_billed_ms=(*ranks, (billed_ms(merge_s), AGGREGATE_MB)),
        state_transitions=transitions(how.world_size),
        s3_gets=ranges + partitions + of_ranks + 2 * how.world_size,
        s3_puts=3 * how.world_size + 10,
    )
