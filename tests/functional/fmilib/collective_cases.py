"""One closed form for each collective; methods that a communicator doesn't have are left out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import fmilib

COUNTS = (0, 1, 100, 100_000)
Case = Callable[[Any], None]


def _barrier(comm: Any) -> None:
    for _ in range(5):
        comm.barrier()


def _bcast(comm: Any) -> None:
    for root in range(comm.size):
        value = {"root": root, "array": np.arange(root * 50_000.0)}
        found = comm.bcast(value if comm.rank == root else None, root)
        assert found["root"] == root
        assert np.array_equal(found["array"], value["array"])


def _bcast_buffer(comm: Any) -> None:
    for count in COUNTS:
        expected = np.arange(count) + count
        buffer = expected.copy() if comm.rank == 0 else np.zeros_like(expected)
        comm.Bcast(buffer)
        assert np.array_equal(buffer, expected)


def _gather(comm: Any) -> None:
    for root in range(comm.size):
        found = comm.gather([comm.rank] * comm.rank, root)
        expected = [[rank] * rank for rank in range(comm.size)]
        assert found == (expected if comm.rank == root else None)


def _allreduce(comm: Any) -> None:
    total = comm.size * (comm.size + 1) // 2
    for count in COUNTS:
        for deterministic in (False, True):
            mine = np.arange(count) * (comm.rank + 1)
            found = comm.allreduce(mine, deterministic=deterministic)
            assert np.array_equal(found, np.arange(count) * total)


def _allreduce_buffer(comm: Any) -> None:
    mine, out = np.full(1000, comm.rank, np.float32), np.empty(1000, np.float32)
    comm.Allreduce(mine, out, "max")
    assert (out == comm.size - 1).all()


def _reduce(comm: Any) -> None:
    for root in range(comm.size):
        found = comm.reduce(np.ones(10), root=root)
        assert (found == comm.size).all() if comm.rank == root else found is None


def _scatter(comm: Any) -> None:
    for root in range(comm.size):
        values = [rank * 10 + root for rank in range(comm.size)]
        found = comm.scatter(values if comm.rank == root else None, root=root)
        assert found == comm.rank * 10 + root


def _allgather(comm: Any) -> None:
    assert comm.allgather(comm.rank * 3) == [rank * 3 for rank in range(comm.size)]


def _alltoall(comm: Any) -> None:
    found = comm.alltoall([comm.rank * 100 + to for to in range(comm.size)])
    assert found == [source * 100 + comm.rank for source in range(comm.size)]


def _scan(comm: Any) -> None:
    assert comm.scan(comm.rank + 1) == (comm.rank + 1) * (comm.rank + 2) // 2


def _exscan(comm: Any) -> None:
    found = comm.exscan(comm.rank + 1)
    assert found == (None if comm.rank == 0 else comm.rank * (comm.rank + 1) // 2)


CASES: dict[str, Case] = {
    "barrier": _barrier,
    "bcast": _bcast,
    "Bcast": _bcast_buffer,
    "gather": _gather,
    "allreduce": _allreduce,
    "Allreduce": _allreduce_buffer,
    "reduce": _reduce,
    "scatter": _scatter,
    "allgather": _allgather,
    "alltoall": _alltoall,
    "scan": _scan,
    "exscan": _exscan,
}
PRESENT = [name for name in CASES if hasattr(fmilib.Communicator, name)]
