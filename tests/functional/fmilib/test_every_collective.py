"""Every collective, sub-communicators and requests, on real processes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import fmilib
from fmilib.wire import reductions
from fmilib_support import threads
from fmilib_support.ranks import Ranks
from fmilib_support.server import Rendezvous

Maker = Callable[[int], Ranks]


LATER = [pytest.param(size, marks=pytest.mark.long) for size in (6, 7, 9, 13, 16, 24, 32)]


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 8, *LATER])
def test_closed_forms_of_every_collective(ranks: Maker, size: int) -> None:
    """All counts, each with a few dtypes; up to 9 ranks every dtype is met."""
    job = ranks(size)
    job.start("collective_matrix", dtypes=4 if size < 10 else 2)
    job.values()


@pytest.fixture
def run(rendezvous: Rendezvous, job: str) -> Callable[..., list[threads.End]]:
    """Return a function that runs a body on so many ranks."""
    return lambda size, body: threads.ends({"rendezvous": rendezvous.address}, job, size, body)


def _values(found: list[threads.End]) -> list[Any]:
    for end in found:
        if end.error is not None:
            raise end.error
    return [end.value for end in found]


def test_scan_and_reduce_of_minus_go_from_left_to_right(run: Callable[..., Any]) -> None:
    minus = reductions.named(lambda a, b: a - b, commutative=True, associative=False)
    found = _values(run(8, lambda c: (c.scan(c.rank, minus), c.reduce(c.rank + 1, minus, 3))))
    assert [one for one, _ in found] == [0, -1, -3, -6, -10, -15, -21, -28]
    assert found[3][1] == -34


def test_split_and_dup_have_messages_of_their_own(run: Callable[..., Any]) -> None:
    def body(comm: fmilib.Communicator) -> tuple[list[int], int]:
        twin = comm.dup()
        half = comm.split(comm.rank % 2, -comm.rank)
        assert comm.split(None) is None
        assert half is not None
        twin.send("twin", (comm.rank + 1) % 5)
        comm.send("comm", (comm.rank + 1) % 5)
        assert comm.recv((comm.rank - 1) % 5) == "comm"
        assert twin.recv((comm.rank - 1) % 5) == "twin"
        half.close()
        quarter = twin.split(0, comm.rank)
        assert quarter is not None
        return twin.allgather(comm.rank), quarter.allreduce(1)

    assert _values(run(5, body)) == [([0, 1, 2, 3, 4], 5)] * 5


def test_split_orders_by_key(run: Callable[..., Any]) -> None:
    def body(comm: fmilib.Communicator) -> list[int]:
        half = comm.split(comm.rank % 2, -comm.rank)
        assert half is not None
        found: list[int] = half.allgather(comm.rank)
        return found

    assert _values(run(5, body)) == [[4, 2, 0], [3, 1], [4, 2, 0], [3, 1], [4, 2, 0]]


@pytest.mark.parametrize("count", [10, 1_000_000])
def test_neighbours_swap_any_sizes(run: Callable[..., Any], count: int) -> None:
    def body(comm: fmilib.Communicator) -> bool:
        right, left = (comm.rank + 1) % comm.size, (comm.rank - 1) % comm.size
        mine = np.full(count + comm.rank, comm.rank)
        found = comm.sendrecv(mine, right, left)
        out = np.empty(count)
        comm.Sendrecv(np.full(count, float(comm.rank)), right, out, left)
        request = comm.irecv(left)
        comm.isend(mine, right).wait()
        return len(found) == len(request.wait()) == count + left and bool((out == left).all())

    assert _values(run(1 if count > 10 else 3, body)) == [True] * (1 if count > 10 else 3)


def test_other_shapes_of_one_count_are_a_mismatch(run: Callable[..., Any]) -> None:
    shapes = [(2, 3), (3, 2)]
    found = run(2, lambda comm: comm.allreduce(np.ones(shapes[comm.rank])))
    assert any(isinstance(end.error, fmilib.MismatchError) for end in found)


def test_a_root_that_isnt_there_is_refused(run: Callable[..., Any]) -> None:
    def body(comm: fmilib.Communicator) -> int:
        for call in (comm.reduce, comm.gather):
            with pytest.raises(ValueError, match="root"):
                call(1, root=2)
        with pytest.raises(ValueError, match="root"):
            comm.scatter([1, 2], root=2)
        total: int = comm.allreduce(1)
        return total

    assert _values(run(2, body)) == [2, 2]


@pytest.mark.parametrize("name", ["reduce", "gather", "scatter"])
def test_a_mistaken_root_is_told(run: Callable[..., Any], name: str) -> None:
    def body(comm: fmilib.Communicator) -> None:
        value = [1] * comm.size if name == "scatter" else 1
        getattr(comm, name)(value, root=1 if comm.rank == 1 else 0)
        comm.barrier()

    found = run(3, body)
    assert all(isinstance(end.error, fmilib.FmiError) for end in found)
    assert any(isinstance(end.error, fmilib.MismatchError) for end in found)
