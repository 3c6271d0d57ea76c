"""What a simulated run is of: job, limits and chance, and its ranks with their luck."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from cosmic.contracts.plan import gathers
from cosmic.costs.counts import Configuration, Job, row_reads
from cosmic.costs.measured import Measured
from cosmic.costs.platform import Platform
from cosmic.costs.predict import Work
from cosmic.costs.simulated_platform import Ceilings
from cosmic.data.blocks import BLOCK_BYTES


@dataclass(frozen=True)
class Chance:
    """What differs from rank to rank.

    Attributes:
        spread: Standard deviation of the logarithm of a rank's speed, and of its start.
        late_share: Ranks that are late: on a core that is `late_factor` times slower.
        death_share: Tries that die at some point of their work.
    """

    seed: int = 0
    spread: float = 0.0
    late_share: float = 0.0
    late_factor: float = 1.5
    death_share: float = 0.0


@dataclass
class Rank:
    """A rank and its present try."""

    number: int
    batches: int
    slower: float
    start: float
    luck: np.random.Generator
    blocks: int = 0
    requests: int = 0
    tries: int = 0
    throttled: int = 0
    began_s: float = 0.0
    dies_at: float = math.inf
    done_s: float = math.nan
    left: bool = False
    billed: list[float] = field(default_factory=list)

    def batches_of(self, block: int) -> int:
        """Batches of a block; all blocks have nearly as many."""
        return self.batches * (block + 1) // self.blocks - self.batches * block // self.blocks

    def requests_of(self, block: int) -> int:
        """Requests of a block."""
        return self.requests * (block + 1) // self.blocks - self.requests * block // self.blocks


@dataclass(frozen=True)
class Given:
    """What a simulation is of."""

    job: Job
    how: Configuration
    measured: Measured
    platform: Platform
    ceilings: Ceilings
    chance: Chance

    @property
    def gathered(self) -> bool:
        """Whether rank 0 writes all rows as one object."""
        return gathers(self.job.channel, self.job.rows)


def drawn(given: Given, each: Work) -> list[Rank]:
    """The ranks with their luck, with as many requests in all as `row_reads` counts."""
    chance, world = given.chance, len(each.batches)
    draw = np.random.default_rng((chance.seed, 0))
    slower = np.exp(chance.spread * draw.standard_normal(world))
    start = np.exp(chance.spread * draw.standard_normal(world))
    slower[draw.random(world) < chance.late_share] *= chance.late_factor
    luck = (np.random.default_rng((chance.seed, 1, i)) for i in range(world))
    parts = zip(each.batches.tolist(), slower.tolist(), start.tolist(), luck, strict=True)
    ranks = [Rank(i, *part) for i, part in enumerate(parts)]
    busy = [rank for rank in ranks if rank.batches]
    largest = max(1, BLOCK_BYTES // (given.how.batch_size * given.job.row_bytes))
    requests = row_reads(given.job, given.how)
    for i, rank in enumerate(busy):
        rank.blocks = -(-rank.batches // largest)
        rank.requests = requests // len(busy) + (i < requests % len(busy))
    return ranks
