"""A rank dies, freezes or leaves: every other rank is told, in time, and nobody gets a number."""

from __future__ import annotations

import signal
from collections.abc import Callable

import pytest

import fmilib
from fmilib_support.ranks import Outcome, Ranks

Maker = Callable[[int], Ranks]
DETECT_S = 3.0
SLACK_S = 2.0
OPERATIONS = [
    "barrier", "bcast", "gather", "small allreduce", "large allreduce", "ordered allreduce",
]  # fmt: skip


def told_of(found: list[Outcome], lost: int, since: float) -> None:
    for outcome in found:
        assert isinstance(outcome.error, fmilib.PeerFailed), outcome
        assert outcome.error.rank == lost, outcome
        assert outcome.at - since < DETECT_S + SLACK_S


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize(("size", "lost"), [(4, 1), pytest.param(5, 0, marks=pytest.mark.long)])
def test_a_rank_killed_inside_an_operation_fails_all_others(
    ranks: Maker, operation: str, size: int, lost: int
) -> None:
    job = ranks(size)
    job.start("again_and_again", operation=operation, connect={"detect_s": DETECT_S})
    job.hear(lost, "running")
    since = job.signal(lost, signal.SIGKILL)
    told_of(job.outcomes([rank for rank in range(size) if rank != lost]), lost, since)


@pytest.mark.parametrize("operation", ["barrier", "large allreduce"])
def test_a_rank_killed_before_an_operation_fails_all_others(ranks: Maker, operation: str) -> None:
    job = ranks(4)
    job.start("wait_then", operation=operation, connect={"detect_s": DETECT_S})
    for rank in range(4):
        job.hear(rank, "connected")
    for rank in (0, 1, 3):
        job.tell(rank, "go")
    since = job.signal(2, signal.SIGKILL)
    told_of(job.outcomes([0, 1, 3]), 2, since)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_a_rank_that_only_looks_for_messages_is_told(ranks: Maker, number: signal.Signals) -> None:
    job = ranks(3)
    job.start("probe_for_ever", connect={"detect_s": DETECT_S})
    for rank in range(3):
        job.hear(rank, "running")
    since = job.signal(2, number)
    told_of(job.outcomes([0, 1]), 2, since)


@pytest.mark.parametrize("operation", ["barrier", "large allreduce"])
def test_a_frozen_rank_fails_all_others_and_itself_when_it_thaws(
    ranks: Maker, operation: str
) -> None:
    job = ranks(4)
    job.start("again_and_again", operation=operation, connect={"detect_s": DETECT_S})
    job.hear(3, "running")
    since = job.signal(3, signal.SIGSTOP)
    told_of(job.outcomes([0, 1, 2]), 3, since)
    job.signal(3, signal.SIGCONT)
    assert isinstance(job.outcome(3).error, fmilib.FmiError)


def test_a_rank_that_leaves_before_it_is_done_fails_the_others(ranks: Maker) -> None:
    job = ranks(3)
    job.start("leave_before_needed", connect={"detect_s": DETECT_S})
    assert job.outcome(0).error is None
    for outcome in job.outcomes([1, 2]):
        assert isinstance(outcome.error, fmilib.PeerFailed)
        assert outcome.error.rank == 0


def test_two_ranks_killed_at_once_fail_the_others(ranks: Maker) -> None:
    job = ranks(6)
    job.start("again_and_again", operation="large allreduce", connect={"detect_s": DETECT_S})
    job.hear(0, "running")
    job.signal(2, signal.SIGKILL)
    since = job.signal(4, signal.SIGKILL)
    for outcome in job.outcomes([0, 1, 3, 5]):
        assert isinstance(outcome.error, fmilib.PeerFailed)
        assert outcome.error.rank in (2, 4)
        assert outcome.at - since < DETECT_S + SLACK_S
