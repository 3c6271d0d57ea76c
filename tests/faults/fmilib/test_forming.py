"""Late ranks, missing ranks, dead ranks that come back, and attempts that fence each other."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable

import pytest

import fmilib
from fmilib_support.ranks import Ranks
from fmilib_support.server import Rendezvous

Maker = Callable[[int], Ranks]


def test_a_late_rank_is_waited_for(ranks: Maker) -> None:
    job = ranks(3)
    job.start("register_and_wait", [0, 2])
    for rank in (0, 2):
        job.hear(rank, "registered")
        job.tell(rank, "go")
    job.start("register_and_wait", [1])
    job.hear(1, "registered")
    job.tell(1, "go")
    job.values()


def test_a_missing_rank_is_named(ranks: Maker) -> None:
    job = ranks(4)
    job.start("connect_only", [0, 3], connect={"timeout_s": 1.5})
    for outcome in job.outcomes([0, 3]):
        assert isinstance(outcome.error, fmilib.Timeout), outcome
        assert {1, 2} <= set(outcome.error.waiting_for)


def test_no_rendezvous_is_an_error_in_time(job: str) -> None:
    with pytest.raises(fmilib.RendezvousError, match="no rendezvous"):
        fmilib.connect(0, 2, job, secret=bytes(32), rendezvous="127.0.0.1:9", timeout_s=0.5)


def test_ranks_may_come_before_the_rendezvous(own_rendezvous: Rendezvous, job: str) -> None:
    own_rendezvous.kill()
    early = Ranks(own_rendezvous, job, 2)
    try:
        early.start("connect_only")
        for rank in range(2):
            early.hear(rank, "connecting")
        own_rendezvous.start()
        assert early.values() == [2, 2]
    finally:
        early.close()


def test_a_rank_that_died_before_the_forming_comes_back(ranks: Maker) -> None:
    job = ranks(3)
    job.start("register_and_wait", [0, 1])
    job.hear(0, "registered")
    job.hear(1, "registered")
    job.signal(1, signal.SIGKILL)
    job.start("register_and_wait", [1], connect={"generation": 1})
    job.start("register_and_wait", [2])
    for rank in range(3):
        if rank:
            job.hear(rank, "registered")
        job.tell(rank, "go")
    job.values()


def test_a_newer_attempt_fences_the_older_before_the_forming(ranks: Maker) -> None:
    job, older = ranks(3), ranks(3)
    job.start("connect_only", [1])
    older.start("register_and_wait", [0])
    older.hear(0, "registered")
    older.signal(0, signal.SIGSTOP)
    job.start("register_and_wait", [0], connect={"generation": 1})
    job.hear(0, "registered")
    job.tell(0, "go")
    job.start("connect_only", [2])
    for outcome in job.outcomes():
        assert outcome.error is None, outcome
    older.signal(0, signal.SIGCONT)
    older.tell(0, "go")
    fenced = older.outcome(0).error
    assert isinstance(fenced, fmilib.StaleGeneration)
    assert (fenced.generation, fenced.newer) == (0, 1)


def test_an_older_attempt_that_comes_late_is_refused(ranks: Maker) -> None:
    newer, older = ranks(2), ranks(2)
    newer.start("register_and_wait", [0], connect={"generation": 5})
    newer.hear(0, "registered")
    older.start("connect_only", [0], connect={"generation": 4})
    refused = older.outcome(0).error
    assert isinstance(refused, fmilib.StaleGeneration)
    assert (refused.generation, refused.newer) == (4, 5)


def test_a_newer_attempt_of_a_running_rank_fails_the_running_job(ranks: Maker) -> None:
    job, retried = ranks(3), ranks(3)
    job.start("again_and_again", operation="barrier")
    job.hear(1, "running")
    retried.start("connect_only", [1], connect={"generation": 1, "timeout_s": 1.0})
    assert isinstance(job.outcome(1).error, fmilib.StaleGeneration)
    for outcome in job.outcomes([0, 2]):
        assert isinstance(outcome.error, fmilib.PeerFailed), outcome
        assert outcome.error.rank == 1
    alone = retried.outcome(1).error
    assert isinstance(alone, fmilib.Timeout)
    assert alone.waiting_for == (0, 2)


def test_a_failed_job_is_remembered_and_a_newer_generation_starts_again(ranks: Maker) -> None:
    job, again, anew = ranks(2), ranks(2), ranks(2)
    job.start("abort")
    job.outcomes()
    again.start("connect_only")
    for outcome in again.outcomes():
        assert isinstance(outcome.error, fmilib.Aborted), outcome
        assert outcome.error.reason == "no more money"
    anew.start("connect_only", connect={"generation": 1})
    assert anew.values() == [2, 2]


def test_a_retried_rank_whose_others_do_not_come_back_is_told_early(job: str) -> None:
    with Rendezvous("--rejoin-s", "1") as rendezvous:
        failed, retried = Ranks(rendezvous, job, 3), Ranks(rendezvous, job, 3)
        try:
            failed.start("abort")
            failed.outcomes()
            began = time.monotonic()
            retried.start("connect_only", [1], connect={"generation": 1, "timeout_s": 50.0})
            alone = retried.outcome(1)
            assert isinstance(alone.error, fmilib.RendezvousError), alone
            assert "no more money" in str(alone.error)
            assert "don't come back" in str(alone.error)
            assert alone.at - began < 10.0
        finally:
            failed.close()
            retried.close()


def test_a_name_can_be_used_again_after_a_good_end(ranks: Maker) -> None:
    for _ in range(3):
        job = ranks(3)
        job.start("connect_only")
        assert job.values() == [3, 3, 3]


def test_a_second_process_for_a_living_rank_is_refused(ranks: Maker) -> None:
    job, double = ranks(2), ranks(2)
    job.start("register_and_wait", [0])
    job.hear(0, "registered")
    double.start("connect_only", [0])
    refused = double.outcome(0).error
    assert isinstance(refused, fmilib.RendezvousError)
    assert "already here" in str(refused)


def test_ranks_that_say_different_sizes_are_told(ranks: Maker) -> None:
    job, other = ranks(2), ranks(3)
    job.start("register_and_wait", [0])
    job.hear(0, "registered")
    other.start("connect_only", [1])
    refused = other.outcome(1).error
    assert isinstance(refused, fmilib.MismatchError)
    assert "3 ranks" in str(refused)
