"""A lost rank is started again, and the others meet it in a new forming of the same job."""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import Any

import pytest

import fmilib
from fmilib_support import threads
from fmilib_support.ranks import Ranks
from fmilib_support.server import Rendezvous

Maker = Callable[[int], Ranks]
SIZE, VICTIM, STEPS = 4, 2, 6
CONNECT = {"detect_s": 3.0}
OPTIONS: dict[str, Any] = {"steps": STEPS, "keeper": 0, "wait": False, "rejoin_s": 20.0}


def _struck(ranks: Maker, number: signal.Signals) -> Ranks:
    """Return a job one of whose ranks was struck in the middle of its loop."""
    job = ranks(SIZE)
    job.start("sum_and_rejoin", [VICTIM], **{**OPTIONS, "wait": True}, connect=CONNECT)
    others = [rank for rank in range(SIZE) if rank != VICTIM]
    job.start("sum_and_rejoin", others, **OPTIONS, connect=CONNECT)
    job.hear(VICTIM, "running")
    job.signal(VICTIM, number)
    return job


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_survivors_meet_the_retried_rank_and_the_numbers_are_right(
    ranks: Maker, number: signal.Signals
) -> None:
    job, retried = _struck(ranks, number), ranks(SIZE)
    retried.start("sum_and_rejoin", [VICTIM], **OPTIONS, connect={**CONNECT, "generation": 1})
    sums = STEPS * SIZE * (SIZE + 1) // 2
    for rank in range(SIZE):
        found = (retried if rank == VICTIM else job).outcome(rank)
        assert found.error is None, found
        assert found.value["total"] == sums
        assert found.value["lost"] == ([] if rank == VICTIM else [VICTIM])
    if number == signal.SIGSTOP:
        job.signal(VICTIM, signal.SIGCONT)
        job.tell(VICTIM, "go")
        fenced = job.outcome(VICTIM).error
        assert isinstance(fenced, fmilib.StaleGeneration), fenced


def test_a_rank_may_be_lost_again_and_again(ranks: Maker) -> None:
    job, attempts = ranks(2), [ranks(2) for _ in range(3)]
    job.start("sum_and_rejoin", [0], **OPTIONS, connect=CONNECT)
    for generation, attempt in enumerate(attempts):
        more = {**OPTIONS, "wait": generation < 2}
        attempt.start("sum_and_rejoin", [1], **more, connect={**CONNECT, "generation": generation})
        if generation < 2:
            attempt.hear(1, "running")
            attempt.signal(1, signal.SIGKILL)
    assert job.outcome(0).error is None
    assert attempts[-1].outcome(1).error is None


def test_rejoin_is_bounded_and_names_who_is_missing(ranks: Maker) -> None:
    job = ranks(SIZE)
    options = {**OPTIONS, "rejoin_s": 1.5}
    job.start("sum_and_rejoin", **{**options, "steps": 10**6}, connect=CONNECT)
    job.hear(VICTIM, "running")
    job.signal(VICTIM, signal.SIGKILL)
    found = job.outcomes([rank for rank in range(SIZE) if rank != VICTIM])
    assert any(isinstance(one.error, fmilib.Timeout) for one in found), found
    for one in found:
        assert isinstance(one.error, fmilib.Timeout | fmilib.Aborted), one
        if isinstance(one.error, fmilib.Timeout):
            assert VICTIM in one.error.waiting_for


def test_rejoin_is_refused_without_the_policy_or_a_failure(
    rendezvous: Rendezvous, job: str
) -> None:
    def body(comm: fmilib.Communicator) -> None:
        with pytest.raises(ValueError, match="on_failure is 'abort'"):
            comm.rejoin()

    def well(comm: fmilib.Communicator) -> None:
        with pytest.raises(ValueError, match="hasn't failed"):
            comm.rejoin()

    options = {"rendezvous": rendezvous.address}
    threads.values(options, f"{job}-a", 2, body)
    threads.values({**options, "on_failure": "rejoin"}, f"{job}-b", 2, well)
