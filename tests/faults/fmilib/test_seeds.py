"""Every failure again with 20 seeds: another size, operation, victim and moment each time.

Jobs of one failure run side by side, `AT_ONCE` at a time. `make test` takes the first
`FIRST_SEEDS`, `make test-long` all; FMI_SEEDS sets another number than 20.
"""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

import fmilib
from fmilib_support.natlab import Lab, public, why_not
from fmilib_support.ranks import Outcome, Ranks
from fmilib_support.scenarios import OPERATIONS
from fmilib_support.server import Rendezvous

SEEDS = int(os.environ.get("FMI_SEEDS", "20"))
FIRST_SEEDS, AT_ONCE, SEEDS_A_LAB = 3, 4, 10
DETECT_S, SLACK_S = 8.0, 8.0
FORM_S = 10.0  # for ranks to start and form where the failure is a part of what they do
CONNECT = {"detect_s": DETECT_S}
CUT = ("the connection was closed", "connection reset by peer", "broken pipe")
ONES = np.ones(8)
CALLS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("barrier", {}),
    ("allreduce", {"value": ONES}),
    ("allreduce", {"value": ONES.astype("f4")}),
    ("allreduce", {"value": np.ones(9)}),
    ("allreduce", {"value": np.ones(90_000)}),
    ("allreduce", {"value": ONES, "op": "max"}),
    ("gather", {"value": ONES, "root": 0}),
    ("gather", {"value": ONES, "root": 1}),
)


@dataclass
class Trial:
    """One job that will fail, and what chance decided about it."""

    seed: int
    rendezvous: Rendezvous
    rng: random.Random
    size: int
    victim: int
    operation: str
    job: Ranks
    others: list[int]
    extra: list[Ranks] = field(default_factory=list)
    since: float = 0.0
    waited: bool = False

    def run(self, scenario: str = "again_and_again", **options: Any) -> None:
        self.job.start(scenario, operation=self.operation, **options)

    def wait(self) -> None:
        """Wait until all ranks are in it, and then for a moment."""
        for rank in range(0 if self.waited else self.size):
            self.job.hear(rank, "running")
        self.waited = True
        time.sleep(self.rng.uniform(0.0, 0.05))

    def again(self) -> Ranks:
        """Return another crew for the same job."""
        self.extra.append(Ranks(self.rendezvous, self.job.job, self.size))
        return self.extra[-1]

    def told(self, kind: type[fmilib.FmiError], ranks: list[int] | None = None) -> list[Outcome]:
        """Check that ranks (the others, if not said) ended in time with this error."""
        found = self.job.outcomes(self.others if ranks is None else ranks)
        for outcome in found:
            assert isinstance(outcome.error, kind), outcome
            assert outcome.at - self.since < DETECT_S + SLACK_S, outcome
        return found

    def told_of_loss(self) -> None:
        for outcome in self.told(fmilib.PeerFailed):
            assert isinstance(outcome.error, fmilib.PeerFailed)
            assert outcome.error.rank == self.victim, outcome


def trial(seed: int, rendezvous: Rendezvous, name: str) -> Trial:
    rng = random.Random(seed)  # noqa: S311
    size = rng.randrange(2, 6)
    victim, operation = rng.randrange(size), rng.choice(list(OPERATIONS))
    job = Ranks(rendezvous, f"{name}-{os.getpid()}-{seed}", size)
    others = [rank for rank in range(size) if rank != victim]
    return Trial(seed, rendezvous, rng, size, victim, operation, job, others)


class Failure:
    """What happens to a job; each is a start, a blow and what must be seen."""

    def start(self, one: Trial) -> None:
        one.run(connect=CONNECT)

    def strike(self, one: Trial) -> None:
        one.wait()

    def check(self, one: Trial) -> None:
        one.told_of_loss()


class Killed(Failure):
    def strike(self, one: Trial) -> None:
        one.wait()
        one.since = one.job.signal(one.victim, signal.SIGKILL)


class Frozen(Failure):
    def strike(self, one: Trial) -> None:
        one.wait()
        one.since = one.job.signal(one.victim, signal.SIGSTOP)

    def check(self, one: Trial) -> None:
        one.told_of_loss()
        one.job.signal(one.victim, signal.SIGCONT)
        assert isinstance(one.job.outcome(one.victim).error, fmilib.FmiError)


class Retried(Failure):
    def strike(self, one: Trial) -> None:
        one.wait()
        retried = one.again()
        retried.start("connect_only", [one.victim], connect={"generation": 1, "timeout_s": 1.0})
        retried.hear(one.victim, "connecting")
        one.since = time.monotonic()

    def check(self, one: Trial) -> None:
        one.told_of_loss()
        one.told(fmilib.StaleGeneration, [one.victim])
        alone = one.extra[0].outcome(one.victim).error
        assert isinstance(alone, fmilib.Timeout), alone


class Stopped(Failure):
    def start(self, one: Trial) -> None:
        one.since = time.monotonic() + FORM_S
        after = one.rng.randrange(5)
        one.run("abort_in_the_middle", victim=one.victim, after=after, connect=CONNECT)

    def strike(self, one: Trial) -> None:
        pass

    def check(self, one: Trial) -> None:
        for outcome in one.told(fmilib.Aborted, list(range(one.size))):
            assert isinstance(outcome.error, fmilib.Aborted)
            assert (outcome.error.rank, outcome.error.reason) == (one.victim, "enough")


class Disagreeing(Failure):
    def start(self, one: Trial) -> None:
        one.since = time.monotonic() + FORM_S
        calls = one.rng.sample(CALLS, 2)
        one.job.start("disagree", calls=calls, odd=one.victim, connect=CONNECT)

    def strike(self, one: Trial) -> None:
        pass

    def check(self, one: Trial) -> None:
        one.told(fmilib.MismatchError, list(range(one.size)))


class OutOfTime(Failure):
    def start(self, one: Trial) -> None:
        one.job.start(
            "again_and_again", [one.victim], operation=one.operation,
            connect={**CONNECT, "remaining_s": 2.5, "reserve_s": 0.5},
        )  # fmt: skip
        one.since = time.monotonic() + 2.0
        one.job.start("again_and_again", one.others, operation=one.operation, connect=CONNECT)

    def strike(self, one: Trial) -> None:
        pass

    def check(self, one: Trial) -> None:
        for outcome in one.told(fmilib.Aborted, list(range(one.size))):
            assert isinstance(outcome.error, fmilib.Aborted)
            assert outcome.error.rank == one.victim
            assert outcome.at > one.since - 0.5


class Stranger(Failure):
    """A rank with the wrong secret comes first; then a rank of the job is killed."""

    def start(self, one: Trial) -> None:
        one.again().start("connect_only", [one.victim], secret=bytes(32))
        assert isinstance(one.extra[0].outcome(one.victim).error, fmilib.AuthError)
        one.run(connect=CONNECT)

    def strike(self, one: Trial) -> None:
        Killed().strike(one)


SHARED: dict[str, Failure] = {
    "killed": Killed(),
    "frozen": Frozen(),
    "retried": Retried(),
    "stopped": Stopped(),
    "disagreeing": Disagreeing(),
    "out of time": OutOfTime(),
    "stranger": Stranger(),
}


def play(failure: Failure, trials: list[Trial], blow: Callable[[], None] = lambda: None) -> None:
    """Let one failure happen to several jobs at once."""
    seeds = [one.seed for one in trials]
    try:
        for one in trials:
            failure.start(one)
        blow()
        for one in trials:
            failure.strike(one)
        for one in trials:
            failure.check(one)
    except AssertionError as error:
        error.add_note(f"one of the seeds {seeds}")
        raise
    finally:
        for one in trials:
            for crew in (one.job, *one.extra):
                crew.close()


def waves(at_once: int) -> list[Any]:
    """Return the seeds, so many together; those beyond the first few are for `make test-long`."""
    ends = [*range(FIRST_SEEDS, SEEDS, at_once), SEEDS]
    return [
        pytest.param(
            range(first, end),
            id=f"from seed {first}",
            marks=[pytest.mark.long] if first else [],
        )
        for first, end in pairwise([0, *ends])
    ]


@pytest.mark.parametrize("seeds", waves(AT_ONCE))
@pytest.mark.parametrize("name", SHARED)
def test_all_survivors_raise_the_right_error_in_time(
    rendezvous: Rendezvous, name: str, seeds: range
) -> None:
    play(SHARED[name], [trial(seed, rendezvous, name) for seed in seeds])


class CutLink(Failure):
    """All links between two networks go silent; either side still reaches the rendezvous."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab

    def start(self, one: Trial) -> None:
        sides = (self.lab.behind("left"), self.lab.behind("right"))
        inside = {r: self.lab.name(sides[r % 2][r // 2]) for r in range(one.size)}
        one.run(connect={**CONNECT, "timeout_s": 10 * DETECT_S}, inside=inside)

    def strike(self, one: Trial) -> None:
        pass

    def check(self, one: Trial) -> None:
        one.told(fmilib.PeerFailed, list(range(one.size)))


@pytest.mark.skipif(why_not() is not None, reason=str(why_not()))
@pytest.mark.parametrize("seeds", waves(SEEDS_A_LAB))
def test_a_cut_between_networks_is_told_in_time(seeds: range) -> None:
    with Lab(hosts=3) as lab, Rendezvous(host=public("meet"), inside=lab.name("meet")) as server:
        trials = [trial(seed, server, "cut") for seed in seeds]
        play(CutLink(lab), trials, partial(_part, lab, trials))


def _part(lab: Lab, trials: list[Trial]) -> None:
    for one in trials:
        one.wait()
    lab.part()
    for one in trials:
        one.since = time.monotonic()


class KilledAlone(Killed):
    """Without a rendezvous a rank may name the neighbour through which it learnt of the loss."""

    def check(self, one: Trial) -> None:
        for outcome in one.told(fmilib.PeerFailed):
            assert isinstance(outcome.error, fmilib.PeerFailed)
            assert outcome.error.rank == one.victim or outcome.error.cause in CUT, outcome


@pytest.mark.parametrize("seeds", waves(AT_ONCE))
@pytest.mark.parametrize("comes_back", [False, True], ids=["dead", "restarted"])
def test_a_loss_after_the_loss_of_the_rendezvous_is_told_in_time(
    seeds: range, *, comes_back: bool
) -> None:
    with Rendezvous() as server:
        trials = [trial(seed, server, "alone") for seed in seeds]
        play(KilledAlone(), trials, partial(_lose, server, trials, comes_back=comes_back))


def _lose(server: Rendezvous, trials: list[Trial], *, comes_back: bool) -> None:
    for one in trials:
        one.wait()
    server.kill()
    if comes_back:
        server.start()
        server.wait_for_ranks(sum(one.size for one in trials))
