"""Simulate a run, rank by rank, with the limits and the chance that `predict` leaves out.

It is a discrete-event simulation. A rank does what `predict.work` says, block by block. The Map
starts ranks one after another as places become free, Lambda starts environments in groups and
throttles beyond that, S3 refuses requests above its rates, ranks are slower or faster by chance,
and some die and are retried. If ranks share cores (on the local stack), those that compute at the
same moment slow each other down. Without chance and limits, the result is that of `predict`.
Rows that move from a late rank to another are not simulated.

Every random draw belongs to a rank, not to a moment. So the same seed gives the same run, and two
runs that differ only in a limit differ only by the effect of that limit.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import count

from cosmic.contracts.vcpus import threads_for_memory
from cosmic.costs.counts import (
    READS_PER_RANK,
    WRITES_PER_RANK,
    Configuration,
    Job,
)
from cosmic.costs.measured import Measured
from cosmic.costs.platform import Platform
from cosmic.costs.predict import work
from cosmic.costs.simulated_outcome import Seen, Simulated, outcome
from cosmic.costs.simulated_platform import (
    FAILED_BACKOFF,
    S3_BACKOFF,
    THROTTLED_BACKOFF,
    Backoff,
    Ceilings,
    Clock,
    Cores,
    Environments,
    RequestRate,
)
from cosmic.costs.simulated_ranks import Chance, Given, Rank, drawn


def simulate(
    job: Job,
    how: Configuration,
    measured: Measured,
    platform: Platform,
    ceilings: Ceilings,
    chance: Chance,
) -> Simulated:
    """Simulate one run; the same arguments give the same.

    Raises:
        InputError: as `predict`.
    """
    return _Simulation(Given(job, how, measured, platform, ceilings, chance)).run()


def _after(calls: int, action: Callable[[], None]) -> Callable[[], None]:
    """What calls something when it is called for the last of so many times."""
    left = count(calls - 1, -1)

    def call() -> None:
        if not next(left):
            action()

    return call


class _Simulation:
    def __init__(self, given: Given) -> None:
        self._given, self._job, self._platform = given, given.job, given.platform
        ceilings, platform = given.ceilings, given.platform
        alone = replace(platform, shared_cores=None)
        self._work = work(given.job, given.how, given.measured, alone)
        self._clock = Clock()
        threads = threads_for_memory(given.how.memory_mb)
        self._cores = Cores(self._clock, platform.shared_cores, threads)
        self._data = RequestRate(ceilings.gets_per_s * ceilings.data_prefixes)
        self._run_gets, self._model = (RequestRate(ceilings.gets_per_s) for _ in range(2))
        self._puts = RequestRate(ceilings.puts_per_s)
        self._environments = Environments(
            ceilings.account, platform.environments_at_once, platform.environments_pause_s
        )
        self._ranks = drawn(given, self._work)
        self._waiting = list(reversed(self._ranks))
        self._places = platform.slots(len(self._ranks))
        self._talks = given.job.channel != "none" and self._places >= len(self._ranks)
        self._expected = len(self._ranks)
        self._next_start_s = platform.launch_s
        self._first_s = self._last_s = 0.0
        self._deaths = self._there = 0

    def run(self) -> Simulated:
        self._fill()
        self._clock.run()
        return outcome(self._given, self._ranks, self._seen())

    # The Map: a rank has a place until it has ended for good.

    def _fill(self) -> None:
        while self._places and self._waiting:
            self._places -= 1
            start_s = max(self._clock.now_s, self._next_start_s)
            self._next_start_s = start_s + 1 / self._platform.starts_per_s
            self._clock.at(start_s, partial(self._invoke, self._waiting.pop()))

    def _lose(self) -> None:
        """A rank has failed in all its tries; the others need not wait for it."""
        self._last_s = max(self._last_s, self._clock.now_s)
        self._places += 1
        self._expected -= 1
        self._part_if_all_are_there()
        self._fill()

    # Lambda: an invocation takes an environment, or is throttled and tried again.

    def _invoke(self, rank: Rank) -> None:
        cold = self._environments.take(self._clock.now_s)
        if cold is None:
            self._throttle(rank)
            return
        rank.began_s = self._clock.now_s
        if not rank.tries:
            self._first_s = max(self._first_s, rank.began_s)
        dies, when = rank.luck.random(2).tolist()
        rank.dies_at = when * rank.blocks if dies < self._given.chance.death_share else math.inf
        rank.tries += 1
        if cold and self._job.cold:
            asked = partial(self._ask, rank, self._model, 1, self._plan)
            self._cores.work(self._work.start_s * rank.start, asked)
        else:
            self._plan(rank)

    def _throttle(self, rank: Rank) -> None:
        rank.throttled += 1
        if rank.throttled > THROTTLED_BACKOFF.tries:
            self._lose()
            return
        self._again(rank, THROTTLED_BACKOFF, rank.throttled - 1, partial(self._invoke, rank))

    def _die(self, rank: Rank) -> None:
        self._deaths += 1
        rank.billed.append(self._clock.now_s - rank.began_s)
        self._environments.free(alive=False)
        if rank.tries > FAILED_BACKOFF.tries:
            self._lose()
            return
        self._again(rank, FAILED_BACKOFF, rank.tries - 1, partial(self._invoke, rank))

    # A rank: its plan, its blocks, each read while the one before is computed, its results.

    def _plan(self, rank: Rank) -> None:
        self._ask(rank, self._run_gets, READS_PER_RANK, self._begin)

    def _begin(self, rank: Rank) -> None:
        if rank.blocks:
            self._fetch(rank, 0, partial(self._compute, rank, 0))
        else:
            self._clock.at(
                self._clock.now_s + self._platform.s3_latency_s, partial(self._end, rank)
            )

    def _fetch(self, rank: Rank, block: int, then: Callable[[], None]) -> None:
        """Ask for a block, and go on when it is there."""

        def arrived(rank: Rank) -> None:
            wait_s = self._work.download_s * rank.batches_of(block)
            wait_s += self._platform.s3_latency_s if not block else 0.0
            self._clock.at(self._clock.now_s + wait_s, then)

        self._ask(rank, self._data, rank.requests_of(block), arrived)

    def _compute(self, rank: Rank, block: int) -> None:
        """Compute a block; the next is computed when it is there and the model is free."""
        late = self._clock.now_s - rank.began_s > self._platform.longest_s
        if late or block >= rank.dies_at - 1:
            self._die(rank)
            return
        spent_s = rank.batches_of(block) * self._work.batch_s * rank.slower
        if block + 1 == rank.blocks:
            self._cores.work(spent_s, partial(self._end, rank))
            return
        both = _after(2, partial(self._compute, rank, block + 1))
        self._cores.work(spent_s, both)
        self._fetch(rank, block + 1, both)

    def _end(self, rank: Rank) -> None:
        self._cores.work(self._work.around_s, partial(self._write, rank))

    def _write(self, rank: Rank) -> None:
        self._ask(rank, self._puts, WRITES_PER_RANK, self._done)

    # The end: ranks that talk leave together, or when they have waited long enough.

    def _done(self, rank: Rank) -> None:
        rank.done_s = self._clock.now_s
        self._last_s = max(self._last_s, rank.done_s)
        self._there += 1
        if not self._talks:
            self._part(rank)
            return
        self._clock.at(self._clock.now_s + self._job.fmi_timeout_s, partial(self._part, rank))
        self._part_if_all_are_there()

    def _part_if_all_are_there(self) -> None:
        if self._talks and self._there == self._expected:
            for rank in self._ranks:
                if not math.isnan(rank.done_s):
                    self._part(rank)

    def _part(self, rank: Rank) -> None:
        if not rank.left:
            rank.left = True
            rank.billed.append(self._clock.now_s - rank.began_s)
            self._environments.free()
            self._places += 1
            self._fill()

    # S3

    def _ask(
        self,
        rank: Rank,
        rate: RequestRate,
        requests: int,
        then: Callable[[Rank], None],
        refused: int = 0,
    ) -> None:
        """Send requests; what S3 refuses is sent again later, until that has failed too often."""
        left = rate.ask(requests, self._clock.now_s) if requests else 0
        if not left:
            then(rank)
        elif refused >= S3_BACKOFF.tries:
            self._die(rank)
        else:
            again = partial(self._ask, rank, rate, left, then, refused + 1)
            self._again(rank, S3_BACKOFF, refused, again)

    def _again(self, rank: Rank, backoff: Backoff, pause: int, action: Callable[[], None]) -> None:
        pause_s = float(rank.luck.random()) * backoff.limit_s(pause)
        self._clock.at(self._clock.now_s + pause_s, action)

    def _seen(self) -> Seen:
        rates = (self._data, self._run_gets, self._model)
        return Seen(
            last_s=self._last_s,
            first_s=self._first_s,
            deaths=self._deaths,
            slow_down=sum(rate.refused for rate in (*rates, self._puts)),
            gets=sum(rate.answered for rate in rates),
            puts=self._puts.answered,
            environments=self._environments,
        )
