"""What becomes of a simulated run: when its ranks ended, what was counted, and the bill."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cosmic.costs.bill import Usage, bill, billed_apart, billed_ms, total_usd, transitions
from cosmic.costs.counts import reads_of_aggregate, writes_of_aggregate
from cosmic.costs.predict import AGGREGATE_MB, merge_s
from cosmic.costs.simulated_platform import Environments
from cosmic.costs.simulated_ranks import Given, Rank

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Simulated:
    """What became of a simulated run.

    Attributes:
        wall_s: From the execution's start to the catalogue.
        ranks_s: When each rank's rows are written (world,); NaN: never.
        first_s: When the last rank began its first try.
        billed_s: Of all tries, summed.
        tries: Invocations of ranks that ran.
        lost: Ranks that failed in all their tries.
        figures: Counts: cold starts, most at once, throttled invocations, deaths, SlowDown, and
            requests that S3 answered.
        usd: The bill's total.
    """

    wall_s: float
    ranks_s: Floats
    first_s: float
    billed_s: float
    tries: int
    lost: int
    figures: dict[str, int]
    usd: float


class Seen(NamedTuple):
    """What the platform has seen of the ranks.

    Attributes:
        last_s: When the last of them was done, or lost.
        first_s: When the last of them began its first try.
        slow_down: Requests that S3 refused; `gets` and `puts` were answered.
    """

    last_s: float
    first_s: float
    deaths: int
    slow_down: int
    gets: int
    puts: int
    environments: Environments


def outcome(given: Given, ranks: Sequence[Rank], seen: Seen) -> Simulated:
    """The run that they make."""
    done = np.array([rank.done_s for rank in ranks])
    billed = [s for rank in ranks for s in rank.billed]
    merging_s = merge_s(given.job, given.measured, given.platform)
    figures = _figures(given, len(ranks), seen)
    usage = _usage(given, ranks, merging_s, figures)
    return Simulated(
        wall_s=seen.last_s + merging_s,
        ranks_s=done,
        first_s=seen.first_s,
        billed_s=sum(billed),
        tries=len(billed),
        lost=int(np.isnan(done).sum()),
        figures=figures,
        usd=total_usd(bill(usage)),
    )


def _figures(given: Given, world: int, seen: Seen) -> dict[str, int]:
    by_rank_0 = 0 if given.job.channel == "none" else 1 + given.gathered
    gathered = given.job.rows if given.gathered else 0
    return {
        "cold_starts": seen.environments.cold_starts,
        "most_at_once": seen.environments.most_busy,
        "throttled": seen.environments.throttled,
        "deaths": seen.deaths,
        "slow_down": seen.slow_down,
        "s3_gets": seen.gets + reads_of_aggregate(world, gathered=gathered),
        "s3_puts": seen.puts + by_rank_0 + writes_of_aggregate(given.job.rows),
    }


def _usage(given: Given, ranks: Sequence[Rank], merging_s: float, figures: dict[str, int]) -> Usage:
    """S3 doesn't charge for what it refuses, Step Functions does for each further try."""
    how = given.how
    tries = [(billed_ms(s), how.memory_mb) for rank in ranks for s in rank.billed]
    aggregate = (billed_ms(merging_s), AGGREGATE_MB)
    x86_64, arm64 = billed_apart(tries, aggregate, how.architecture)
    again = sum(max(0, rank.tries - 1) + rank.throttled for rank in ranks)
    return Usage(
        lambda_billed_ms=x86_64,
        arm64_billed_ms=arm64,
        state_transitions=transitions(len(ranks), again),
        s3_puts=figures["s3_puts"],
        s3_gets=figures["s3_gets"],
    )
