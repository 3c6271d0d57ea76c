"""A rank that won't come says so: nobody waits for it until a time-out, over any channel.

Whoever waits here would do so for a minute and then raise `Timeout`; `Aborted` is the notice.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import fmilib
from fmilib_support.ranks import Outcome, Ranks
from fmilib_support.server import DEPLOYMENT_SECRET, Rendezvous

from .conftest import Way

Maker = Callable[[int], Ranks]
REASON = "checksum: the model is not the one that was planned"
PATIENT = {"timeout_s": 60.0, "detect_s": 5.0}


def withdraw(way: Way, job: str, rank: int, size: int = 3, **more: Any) -> None:
    secret = fmilib.derive_secret(DEPLOYMENT_SECRET, job)
    fmilib.withdraw(REASON, rank, size, job, secret=secret, **{**way.options, **more})


def assert_told(outcomes: list[Outcome], rank: int) -> None:
    for outcome in outcomes:
        assert isinstance(outcome.error, fmilib.Aborted), outcome
        assert (outcome.error.rank, outcome.error.reason) == (rank, REASON)


@pytest.mark.parametrize("absent", [0, 2])
def test_those_who_wait_and_those_who_come_later_are_told(
    way: Way, ranks: Maker, absent: int
) -> None:
    job, later = ranks(3), ranks(3)
    others = [rank for rank in range(3) if rank != absent]
    job.start("connect_only", others, connect={**way.options, **PATIENT})
    for rank in others:
        job.hear(rank, "connecting")
    withdraw(way, job.job, absent)
    assert_told(job.outcomes(others), absent)
    later.start("connect_only", others, connect={**way.options, **PATIENT, "generation": 1})
    assert_told(later.outcomes(others), absent)


def test_ranks_that_run_with_an_earlier_attempt_are_told(way: Way, ranks: Maker) -> None:
    job = ranks(3)
    job.start("again_and_again", operation="barrier", connect={**way.options, **PATIENT})
    for rank in range(3):
        job.hear(rank, "running")
    withdraw(way, job.job, 1, generation=1)
    assert_told(job.outcomes([0, 2]), 1)


def test_an_earlier_attempt_cannot_withdraw(way: Way, ranks: Maker) -> None:
    job = ranks(2)
    job.start("again_and_again", operation="barrier", connect={**way.options, "generation": 5})
    for rank in range(2):
        job.hear(rank, "running")
    with pytest.raises(fmilib.FmiError, match=r"newer attempt|generation 5"):
        withdraw(way, job.job, 1, size=2, generation=4)


def test_the_first_reason_is_kept(way: Way, ranks: Maker) -> None:
    job = ranks(3)
    withdraw(way, job.job, 1)
    withdraw(way, job.job, 2)
    job.start("connect_only", [0], connect={**way.options, **PATIENT})
    assert_told([job.outcome(0)], 1)


def test_ranks_with_a_store_to_fall_back_to_are_told_there(
    stored: Way, rendezvous: Rendezvous, ranks: Maker
) -> None:
    options = {"rendezvous": rendezvous.address, "store": stored.options["store"]}
    way = Way("direct", {**options, "fallback": stored.channel})
    job = ranks(2)
    job.start("connect_only", [0], connect={**way.options, **PATIENT})
    job.hear(0, "connecting")
    withdraw(way, job.job, 1, size=2)
    assert_told([job.outcome(0)], 1)


def test_nobody_to_tell(job: str) -> None:
    fmilib.withdraw(REASON, 0, 1, job)


def test_no_rendezvous_is_an_error_in_time(job: str) -> None:
    with pytest.raises(fmilib.RendezvousError, match="no rendezvous"):
        fmilib.withdraw(
            REASON, 0, 2, job, secret=bytes(32), rendezvous="127.0.0.1:9", timeout_s=0.5
        )
