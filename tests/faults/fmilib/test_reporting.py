"""A gather that reports: one lost rank doesn't lose the values of the others."""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import Any

import pytest

import fmilib
from fmilib_support.ranks import Ranks

Maker = Callable[[int], Ranks]
SIZE, VICTIM, COUNT = 5, 3, 1000
OTHERS = [rank for rank in range(SIZE) if rank != VICTIM]
CONNECT = {"detect_s": 2.0}


def _start(ranks: Maker, **options: Any) -> Ranks:
    job = ranks(SIZE)
    given = {"gathers": 1, "count": COUNT, "deadline": 20.0, "barrier": False, **options}
    job.start("report_what_came", connect=CONNECT, **given)
    _ready(job, list(range(SIZE)))
    return job


def _ready(job: Ranks, ranks: list[int]) -> None:
    for rank in ranks:
        job.hear(rank, "ready")


def _go(job: Ranks, ranks: list[int]) -> None:
    for rank in ranks:
        job.tell(rank, "go")


def _sums(turn: int = 0, lost: int | None = VICTIM) -> list[int | None]:
    return [None if rank == lost else COUNT * (rank + turn) for rank in range(SIZE)]


def _check(job: Ranks, lost: int = VICTIM) -> None:
    found = job.outcome(0)
    assert found.error is None, found
    [(sums, missing)] = found.value
    assert sums == _sums()
    assert list(missing) == [lost]
    for rank in OTHERS[1:]:
        assert job.outcome(rank).error is None


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_a_rank_lost_before_the_gather_loses_its_own_value_alone(
    ranks: Maker, number: signal.Signals
) -> None:
    job = _start(ranks)
    job.signal(VICTIM, number)
    _go(job, OTHERS)
    _check(job)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_a_rank_lost_while_the_root_gathers_is_reported(
    ranks: Maker, number: signal.Signals
) -> None:
    job = _start(ranks)
    _go(job, [0])
    job.signal(VICTIM, number)
    _go(job, OTHERS[1:])
    _check(job)


def test_ranks_killed_between_two_gathers_are_missing_in_the_second(ranks: Maker) -> None:
    job = _start(ranks, gathers=2)
    _go(job, list(range(SIZE)))
    _ready(job, list(range(SIZE)))
    job.signal(VICTIM, signal.SIGKILL)
    job.signal(1, signal.SIGKILL)
    _go(job, [0, 2, 4])
    found = job.outcome(0)
    assert found.error is None, found
    first, (sums, missing) = found.value
    assert first == (_sums(lost=None), {})
    assert sums == [None if rank in (1, VICTIM) else COUNT * (rank + 1) for rank in range(SIZE)]
    assert sorted(missing) == [1, VICTIM]
    assert [job.outcome(rank).error for rank in (2, 4)] == [None, None]


def test_a_rank_that_misses_the_deadline_is_named_and_the_job_goes_on(ranks: Maker) -> None:
    job = _start(ranks, gathers=2, deadline=1.0, barrier=True)
    _go(job, OTHERS)
    job.hear(0, "ready")  # the root has given up on the late one
    job.tell(VICTIM, "go")
    _ready(job, [rank for rank in range(SIZE) if rank])
    _go(job, list(range(SIZE)))
    found = job.outcome(0)
    assert found.error is None, found
    (sums, missing), second = found.value
    assert sums == _sums()
    assert list(missing) == [VICTIM]
    assert "1 s" in missing[VICTIM]
    assert second == (_sums(turn=1, lost=None), {})
    assert [job.outcome(rank).error for rank in range(1, SIZE)] == [None] * (SIZE - 1)


def test_after_a_loss_every_other_call_raises_it(ranks: Maker) -> None:
    job = _start(ranks, barrier=True)
    job.signal(VICTIM, signal.SIGKILL)
    _go(job, OTHERS)
    for rank in OTHERS:
        error = job.outcome(rank).error
        assert isinstance(error, fmilib.PeerFailed), error
        assert error.rank == VICTIM


def test_a_lost_root_fails_the_others(ranks: Maker) -> None:
    job = _start(ranks)
    job.signal(0, signal.SIGKILL)
    _go(job, list(range(1, SIZE)))
    for rank in range(1, SIZE):
        error = job.outcome(rank).error
        assert isinstance(error, fmilib.PeerFailed), error
        assert error.rank == 0
