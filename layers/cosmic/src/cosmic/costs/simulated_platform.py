"""What a simulated run meets: a clock, cores, S3's request rates, Lambda's environments, limits."""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import count
from typing import NamedTuple

from cosmic.costs.platform import LAMBDA


class Backoff(NamedTuple):
    """Pauses between tries, each drawn from 0 up to a limit that grows (full jitter).

    Attributes:
        first_s: The limit of the first pause.
        rate: How much it grows from one pause to the next.
        longest_s: The limit at which it stops growing.
        tries: Tries after the first; if all fail, the request has failed.
    """

    first_s: float
    rate: float
    longest_s: float
    tries: int

    def limit_s(self, pause: int) -> float:
        """The longest that a pause may be, counted from 0."""
        grown = self.first_s * self.rate ** min(pause, 64)
        return min(self.longest_s, grown)


# Of botocore's mode `standard` with 5 retries, and of the state machine's two retriers of a rank.
S3_BACKOFF = Backoff(1.0, 2.0, 20.0, 5)
THROTTLED_BACKOFF = Backoff(1.0, 1.5, 60.0, 3000)
FAILED_BACKOFF = Backoff(1.0, 2.0, 20.0, 3)


@dataclass(frozen=True)
class Ceilings:
    """Limits of AWS that a run may meet, from AWS's documentation.

    Attributes:
        account: Functions of the account that run at once.
        gets_per_s, puts_per_s: Requests that S3 answers for a prefix; it refuses more (SlowDown).
        data_prefixes: Prefixes over which S3 has spread the data set by the time of the run.
    """

    account: int = 1000
    data_prefixes: int = 1
    gets_per_s: float = LAMBDA.s3_gets_per_s
    puts_per_s: float = LAMBDA.s3_puts_per_s


class Clock:
    """Calls what is due, in the order of time; at the same time, in that of the requests."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._asked = count()

    def at(self, time_s: float, action: Callable[[], None]) -> None:
        """Call something at a time, not before now."""
        heapq.heappush(self._due, (max(time_s, self.now_s), next(self._asked), action))

    def run(self) -> None:
        """Until nothing is due any more."""
        while self._due:
            self.now_s, _, action = heapq.heappop(self._due)
            action()


class Cores:
    """Cores that all who compute share evenly; None: each has its own.

    Args:
        clock: Of the simulation.
        cores: How many there are.
        threads: Of each who computes, all of them busy.
    """

    def __init__(self, clock: Clock, cores: float | None, threads: int) -> None:
        self._clock, self._cores, self._threads = clock, cores, threads
        # Seconds that each of those at work has got on cores of its own: all get the same.
        self._got_s, self._at_s = 0.0, 0.0
        self._at_work: list[tuple[float, int, Callable[[], None]]] = []
        self._asked, self._looks = count(), 0

    def work(self, seconds: float, then: Callable[[], None]) -> None:
        """Compute what takes so many seconds on cores of one's own."""
        if self._cores is None:
            self._clock.at(self._clock.now_s + seconds, then)
            return
        self._go_on()
        heapq.heappush(self._at_work, (self._got_s + seconds, next(self._asked), then))
        self._look_when_next_is_done()

    @property
    def _speed(self) -> float:
        wanted = len(self._at_work) * self._threads
        return min(1.0, (self._cores or math.inf) / wanted) if wanted else 1.0

    def _go_on(self) -> None:
        self._got_s += (self._clock.now_s - self._at_s) * self._speed
        self._at_s = self._clock.now_s

    def _look_when_next_is_done(self) -> None:
        self._looks += 1  # who comes or goes changes the speed: only the newest look counts
        if self._at_work:
            left_s = (self._at_work[0][0] - self._got_s) / self._speed
            self._clock.at(self._clock.now_s + left_s, partial(self._look, self._looks))

    def _look(self, number: int) -> None:
        if number != self._looks:
            return
        self._go_on()
        self._got_s = max(self._got_s, self._at_work[0][0])  # rounding
        done = []
        while self._at_work and self._at_work[0][0] <= self._got_s:
            done.append(heapq.heappop(self._at_work)[2])
        self._look_when_next_is_done()
        for then in done:
            then()


class RequestRate:
    """Requests to one prefix of S3: a second's worth at once, then as they come (token bucket)."""

    def __init__(self, per_s: float) -> None:
        self._per_s, self._left, self._at_s = per_s, per_s, 0.0
        self.answered = self.refused = 0

    def ask(self, requests: int, now_s: float) -> int:
        """Send requests; says how many of them are refused."""
        self._left = min(self._per_s, self._left + (now_s - self._at_s) * self._per_s)
        self._at_s = now_s
        answered = min(requests, int(self._left))
        self._left -= answered
        self.answered += answered
        self.refused += requests - answered
        return requests - answered


class Environments:
    """Environments of one function: started in groups, warm when they have done a rank.

    Args:
        account: At work at once, at most.
        at_once: How many may start ...
        pause_s: ... until so long after the first of them.
    """

    def __init__(self, account: int, at_once: int, pause_s: float) -> None:
        self._account, self._at_once, self._pause_s = account, at_once, pause_s
        self._group_s, self._started = float("-inf"), 0
        self.busy = self.warm = self.cold_starts = self.most_busy = self.throttled = 0

    def take(self, now_s: float) -> bool | None:
        """An environment for an invocation; whether it has to start; None: there is none."""
        if self.busy >= self._account:
            self.throttled += 1
            return None
        cold = not self.warm
        if cold and not self._may_start(now_s):
            self.throttled += 1
            return None
        self.warm -= not cold
        self.cold_starts += cold
        self.busy += 1
        self.most_busy = max(self.most_busy, self.busy)
        return cold

    def free(self, *, alive: bool = True) -> None:
        """An invocation has ended; its environment is warm unless it died."""
        self.busy -= 1
        self.warm += alive

    def _may_start(self, now_s: float) -> bool:
        if now_s >= self._group_s + self._pause_s:
            self._group_s, self._started = now_s, 0
        self._started += 1
        return self._started <= self._at_once
