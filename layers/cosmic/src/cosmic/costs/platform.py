"""Where ranks run: the properties of a run that the platform decides, not our code."""

from __future__ import annotations

import math
from dataclasses import dataclass

from cosmic.contracts import vcpus


@dataclass(frozen=True)
class Platform:
    """A platform's constants; docs/tuning.md says where each comes from.

    Attributes:
        name: As it is shown.
        largest_mb: The most memory that a function may have.
        vcpu_speed: Speed of one of its cores, relative to the measured machine's.
        shared_cores: Cores that all ranks share; None: each has its own, by its memory.
        environments_at_once: Environments that can start together ...
        environments_pause_s: ... and the seconds until as many more can.
        starts_per_s: Ranks that the Map starts in a second.
        launch_s: The execution's start to the first rank's.
        s3_bytes_per_s: Bandwidth of one rank from S3.
        s3_latency_s: Time to the first byte.
        s3_gets_per_s: Reads that S3 answers, for all ranks together, from one prefix.
        s3_puts_per_s: The same for writes, in a run's folder.
        longest_s: The longest that a rank may run.
        ranks_at_once: Most ranks that run at the same time; None: all of them.
    """

    name: str
    largest_mb: int = 10_240
    vcpu_speed: float = 1.0
    shared_cores: float | None = None
    environments_at_once: int = 1000
    environments_pause_s: float = 10.0
    starts_per_s: float = 300.0
    launch_s: float = 1.0
    s3_bytes_per_s: float = 75e6
    s3_latency_s: float = 0.03
    s3_gets_per_s: float = 5500.0
    s3_puts_per_s: float = 3500.0
    longest_s: float = 890.0
    ranks_at_once: int | None = None

    def vcpus(self, memory_mb: int) -> float:
        """Cores that a function of this memory has."""
        return vcpus.vcpus(memory_mb)

    def slots(self, world_size: int) -> int:
        """Ranks of a run that are at work at the same time; the others wait for one to end."""
        return world_size if self.ranks_at_once is None else min(world_size, self.ranks_at_once)

    def contention(self, world_size: int, threads: int) -> float:
        """How many times longer all computing takes because ranks share cores."""
        if self.shared_cores is None:
            return 1.0
        return max(1.0, world_size * threads / self.shared_cores)


LAMBDA = Platform("AWS Lambda")


def local_stack(cores: float, launch_s: float) -> Platform:
    """The local stack on a machine with this many cores."""
    return Platform(
        "local stack",
        shared_cores=cores,
        starts_per_s=100.0,
        launch_s=launch_s,
        s3_bytes_per_s=200e6,
        s3_latency_s=0.01,
        s3_gets_per_s=math.inf,
        s3_puts_per_s=math.inf,
    )
