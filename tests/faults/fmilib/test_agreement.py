"""Ranks that disagree, stop the job, or wait for ever: all end with the right error."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import fmilib
from fmilib_support.ranks import Ranks

Maker = Callable[[int], Ranks]
STARTED_BY_S = 8.0
ONES = np.ones(8)
CALLS: dict[str, tuple[Any, Any]] = {
    "operation": (("barrier", {}), ("allreduce", {"value": ONES})),
    "dtype": (("allreduce", {"value": ONES}), ("allreduce", {"value": ONES.astype("f4")})),
    "size": (("allreduce", {"value": ONES}), ("allreduce", {"value": np.ones(9)})),
    "reduction": (("allreduce", {"value": ONES}), ("allreduce", {"value": ONES, "op": "max"})),
    "root": (("gather", {"value": ONES, "root": 0}), ("gather", {"value": ONES, "root": 1})),
    "bcast root": (("bcast", {"value": ONES, "root": 0}), ("bcast", {"value": ONES, "root": 2})),
    "buffer size": (("Bcast", {"buffer": ONES}), ("Bcast", {"buffer": np.ones(4)})),
    "large size": (
        ("allreduce", {"value": np.ones(100_000)}),
        ("allreduce", {"value": np.ones(200_000)}),
    ),
}


@pytest.mark.parametrize("what", CALLS)
def test_ranks_that_call_different_things_all_get_a_mismatch(ranks: Maker, what: str) -> None:
    job = ranks(3)
    job.start("disagree", calls=CALLS[what])
    for outcome in job.outcomes():
        assert isinstance(outcome.error, fmilib.MismatchError), outcome
        text = str(outcome.error)
        assert text.count("rank ") == 2
        assert "rank 2" in text


def test_abort_reaches_every_rank(ranks: Maker) -> None:
    job = ranks(4)
    job.start("abort")
    for outcome in job.outcomes():
        assert isinstance(outcome.error, fmilib.Aborted), outcome
        assert (outcome.error.rank, outcome.error.reason) == (1, "no more money")


def test_an_exception_in_one_rank_stops_the_others(ranks: Maker) -> None:
    job = ranks(3)
    job.start("raise_in_the_middle")
    assert isinstance(job.outcome(1).error, ValueError)
    for outcome in job.outcomes([0, 2]):
        assert isinstance(outcome.error, fmilib.Aborted), outcome
        assert (outcome.error.rank, outcome.error.reason) == (1, "ValueError: my own fault")


def test_a_reduction_that_raises_stops_the_others(ranks: Maker) -> None:
    job = ranks(3)
    job.start("broken_function")
    assert isinstance(job.outcome(0).error, ValueError)
    for outcome in job.outcomes([1, 2]):
        assert isinstance(outcome.error, fmilib.Aborted), outcome
        assert outcome.error.rank == 0


def test_a_wait_ends_at_its_bound_for_all(ranks: Maker) -> None:
    job = ranks(3)
    job.start("never_send", [0], connect={"timeout_s": 2.0})
    job.start("never_send", [1, 2])
    timed_out = job.outcome(0).error
    assert isinstance(timed_out, fmilib.Timeout)
    assert (timed_out.op, timed_out.waiting_for) == ("recv", (1,))
    for outcome in job.outcomes([1, 2]):
        assert isinstance(outcome.error, fmilib.Aborted), outcome
        assert outcome.error.rank == 0


def test_a_deadline_ends_the_wait_early_and_cleanly(ranks: Maker) -> None:
    job = ranks(2)
    job.start("until_deadline", ends_at=time.monotonic() + STARTED_BY_S)
    assert all(0.0 < early_s < 1.5 for early_s in job.values())
