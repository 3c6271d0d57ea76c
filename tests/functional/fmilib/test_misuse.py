"""What only real links show: after a misuse every rank is told, soon, and what it was."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fmilib
from fmilib.wire import reductions
from fmilib_support import threads
from fmilib_support.server import Rendezvous

SOON_S = 10.0  # far below the time-out of a wait
Run = Callable[[int, Callable[[fmilib.Communicator], Any]], list[threads.End]]


@pytest.fixture(params=["direct", "local"])
def run(request: pytest.FixtureRequest, rendezvous: Rendezvous, job: str, tmp_path: Path) -> Run:
    """Return a function that runs a body on so many ranks and returns how each ended."""
    ways = {
        "direct": {"rendezvous": rendezvous.address},
        "local": {"channel": "local", "store": str(tmp_path)},
    }
    return lambda size, body: threads.ends(ways[request.param], job, size, body)


@pytest.mark.parametrize("count", [4, 400, 5000])
@pytest.mark.parametrize("order", ["in order", "any"])
def test_all_ranks_are_told_of_a_function_that_shortens(run: Run, count: int, order: str) -> None:
    shorter = reductions.named(lambda left, right: (left + right)[:1], commutative=order == "any")
    found = run(4, lambda comm: comm.allreduce(np.ones(count), shorter))
    assert all(isinstance(end.error, TypeError | fmilib.Aborted) for end in found)
    assert all("must keep their dtype and shape" in str(end.error) for end in found)
    assert max(end.seconds for end in found) < SOON_S


def test_all_ranks_are_told_of_counts_that_differ(run: Run) -> None:
    def body(comm: fmilib.Communicator) -> None:
        counts = [2, 4] if comm.rank else [3, 3]
        comm.Reduce_scatter(np.ones(6), np.ones(counts[comm.rank]), counts)

    found = run(2, body)
    assert any("counts #" in str(end.error) for end in found)
    assert all(isinstance(end.error, fmilib.MismatchError) for end in found)


def test_all_ranks_are_told_of_a_message_to_oneself_that_does_not_fit(run: Run) -> None:
    def body(comm: fmilib.Communicator) -> None:
        if comm.rank == 1:
            comm.Send(np.ones(4), 1)
            comm.Recv(np.ones(1), 1)
        comm.barrier()

    found = run(2, body)
    assert all(isinstance(end.error, fmilib.MismatchError) for end in found)
    assert all("rank 1 sent itself" in str(end.error) for end in found)


def test_what_came_of_a_closed_communicator_says_so_at_once(run: Run) -> None:
    def body(comm: fmilib.Communicator) -> None:
        child = comm.dup()
        comm.close()
        for call in (child.barrier, child.dup, lambda: child.send(1, 0), lambda: child.recv(0)):
            with pytest.raises(ValueError, match="that this one came of is closed"):
                call()

    found = run(2, body)
    assert [end.error for end in found] == [None, None]
    assert max(end.seconds for end in found) < SOON_S


def test_two_threads_in_one_job_are_told_as_what_they_are(run: Run) -> None:
    """A second communicator of the job doesn't help: they share links."""

    def body(comm: fmilib.Communicator) -> None:
        other, told = comm.dup(), list[str]()

        def call() -> None:
            with pytest.raises(fmilib.Aborted, match="belong to one thread"):
                other.barrier()
            told.append("told")

        def function(left: Any, _right: Any) -> Any:  # runs inside the first thread's call
            second = threading.Thread(target=call)
            second.start()
            second.join()
            assert told == ["told"]
            return left

        comm.allreduce(1, function)
        comm.barrier()

    found = run(2, body)
    assert all(isinstance(end.error, fmilib.FmiError) for end in found)
    assert any("belong to one thread" in str(end.error) for end in found)


def test_an_error_in_a_group_names_the_rank_as_the_job_numbers_it(run: Run) -> None:
    def body(comm: fmilib.Communicator) -> None:
        pair = comm.split(comm.rank // 2)
        assert pair is not None
        shortens = reductions.named(lambda left, _: left if comm.rank < 2 else left[:1])
        pair.allreduce(np.ones(3), shortens)
        comm.barrier()

    told = [end.error for end in run(4, body) if isinstance(end.error, fmilib.Aborted)]
    assert [error.rank for error in told] == [2] * 3


@pytest.mark.parametrize(
    "option",
    ["decode_responses=True", "socket_timeout=1", "retry_on_timeout=yes", "encoding=latin-1"],
)
def test_options_of_redis_that_would_change_messages_are_refused(job: str, option: str) -> None:
    with pytest.raises(ValueError, match=option.partition("=")[0]):
        fmilib.connect(
            0, 2, job, secret=bytes(32), channel="redis",
            store=f"redis://127.0.0.1:1/0?{option}",
        )  # fmt: skip
