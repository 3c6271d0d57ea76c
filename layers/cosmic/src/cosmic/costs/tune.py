"""The possible configurations, the best of them, and the curve between those."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

from cosmic.contracts.engines import ARM_ENGINE, Architecture
from cosmic.contracts.vcpus import MB_PER_VCPU
from cosmic.costs.counts import Configuration, Job
from cosmic.costs.measured import Measured
from cosmic.costs.platform import LAMBDA, Platform
from cosmic.costs.predict import Prediction, predict
from cosmic.errors import InputError

HALF_VCPUS = (2, 3, 4, 6, 8, 10)
MEMORIES_MB = (1024, *(-(-MB_PER_VCPU * n // 2) for n in HALF_VCPUS), LAMBDA.largest_mb)
WORLD_STEPS = (1, 2, 3, 5, 7)
LARGEST_WORLD = 10_000
PARTITION_ROWS = (1278, 2556, 3834, 5112)  # "25" to "100 MB", as the source document names them


@dataclass(frozen=True)
class Constraints:
    """What must hold.

    Attributes:
        max_memory_mb: Of the function.
        max_concurrency: Ranks at once.
        deadline_s: Longest wall of the run; None: none.
        architecture: Of the processor that ranks run on.
    """

    max_memory_mb: int = LAMBDA.largest_mb
    max_concurrency: int = 1000
    deadline_s: float | None = None
    architecture: Architecture = "x86_64"


@dataclass(frozen=True)
class Advice:
    """What is recommended.

    Attributes:
        fastest: The lowest wall time; of equals, the cheapest.
        cheapest: The lowest cost; of equals, the fastest.
        best_value: The lowest product of cost and wall time. From there, whatever factor one of
            the two improves by, the other gets worse by at least as much.
        curve: The configurations that none beats in both, the fastest first.
        considered: How many were looked at, and how many of them meet the constraints.
    """

    fastest: Prediction
    cheapest: Prediction
    best_value: Prediction
    curve: tuple[Prediction, ...]
    considered: tuple[int, int]


def world_sizes(largest: int) -> list[int]:
    """1, 2, 3, 5, 7, 10, 20, ... and the largest itself."""
    steps = {d * 10**power for power in range(5) for d in WORLD_STEPS if d * 10**power < largest}
    return sorted({*steps, largest})


def candidates(
    job: Job, measured: Measured, limits: Constraints, partition_rows: Sequence[int]
) -> Iterator[Configuration]:
    """All configurations within the limits in which every rank has rows."""
    memories = [mb for mb in MEMORIES_MB if mb <= limits.max_memory_mb]
    sizes = sorted(measured.rows_per_s)
    for memory_mb, batch_size, of_partition in product(memories, sizes, partition_rows):
        batches = -(-job.rows // batch_size)
        for world in world_sizes(min(limits.max_concurrency, batches, LARGEST_WORLD)):
            yield Configuration(memory_mb, world, batch_size, of_partition, limits.architecture)


def advise(
    job: Job,
    measured: Measured,
    platform: Platform,
    limits: Constraints,
    partition_rows: Sequence[int] = PARTITION_ROWS,
) -> Advice:
    """Recommend a configuration for each aim.

    Raises:
        InputError: none meets the constraints (the message says how far off the nearest is), or
            what was measured doesn't run on that processor.
    """
    if limits.architecture == "arm64" and measured.engine != ARM_ENGINE:
        message = f"{measured.engine} was measured, which ranks on arm64 don't have"
        raise InputError(message, code="no-engine", hint=f"measure {ARM_ENGINE}")
    asked = list(candidates(job, measured, limits, partition_rows))
    all_of_them = [predict(job, how, measured, platform) for how in asked]
    able = [p for p in all_of_them if works(p, platform)]
    good = [p for p in able if limits.deadline_s is None or p.wall_s <= limits.deadline_s]
    if not good:
        raise _none_works(able, limits, platform)
    return Advice(
        fastest=min(good, key=lambda p: (p.wall_s, p.usd, p.configuration)),
        cheapest=min(good, key=lambda p: (p.usd, p.wall_s, p.configuration)),
        best_value=best_value(good),
        curve=tuple(front(good)),
        considered=(len(asked), len(good)),
    )


def front(predictions: Sequence[Prediction]) -> list[Prediction]:
    """Those that no other beats in wall or cost without losing in the other; the fastest first."""
    kept: list[Prediction] = []
    for p in sorted(predictions, key=lambda p: (p.wall_s, p.usd, p.configuration)):
        if not kept or p.usd < kept[-1].usd:
            kept.append(p)
    return kept


def best_value(predictions: Sequence[Prediction]) -> Prediction:
    """The lowest product of cost and wall time; of equals, the smallest configuration."""
    return min(predictions, key=lambda p: (p.usd * p.wall_s, p.configuration))


def works(p: Prediction, platform: Platform) -> bool:
    """Whether a rank has the memory and the time that it needs."""
    return p.needs_mb <= p.configuration.memory_mb and p.rank_s <= platform.longest_s


def _none_works(able: Sequence[Prediction], limits: Constraints, platform: Platform) -> InputError:
    hint = "allow more memory, more concurrency or a later deadline"
    if able:
        best = min(p.wall_s for p in able)
        message = f"the fastest configuration takes {best:.1f} s, over {limits.deadline_s:g} s"
        return InputError(message, code="no-configuration", hint=hint)
    return InputError(
        f"no configuration of at most {limits.max_concurrency} ranks of {limits.max_memory_mb} MB "
        f"fits into its memory and ends within {platform.longest_s:g} s",
        code="no-configuration",
        hint=hint,
    )
