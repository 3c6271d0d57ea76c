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
        value: dict[str, Any] = {"root": root, "array": np.arange(root * 50_000.0)}
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


def _reduce_scatter(comm: Any) -> None:
    found = comm.reduce_scatter([np.full(3, part) for part in range(comm.size)])
    assert (found == comm.rank * comm.size).all()


def _reductions_of_buffers(comm: Any) -> None:
    mine, out = np.full(500, comm.rank + 1), np.zeros(500, np.int64)
    comm.Reduce(mine, out, root=1)
    total = comm.size * (comm.size + 1) // 2
    assert (out == (total if comm.rank == 1 else 0)).all()
    comm.Scan(mine, out)
    assert (out == (comm.rank + 1) * (comm.rank + 2) // 2).all()
    comm.Exscan(mine, out)
    if comm.rank:
        assert (out == comm.rank * (comm.rank + 1) // 2).all()
    part = np.empty(10_000)
    comm.Reduce_scatter(np.repeat(np.arange(comm.size) + 1.0, 10_000), part)
    assert (part == comm.size * (comm.rank + 1)).all()


def _moves_of_buffers(comm: Any) -> None:
    mine, all_of = np.full(40_000, comm.rank), np.empty((comm.size, 40_000), np.int64)
    expected = np.arange(comm.size)
    comm.Gather(mine, all_of, root=1)
    if comm.rank == 1:
        assert (all_of == expected[:, None]).all()
    comm.Allgather(mine, all_of)
    assert (all_of == expected[:, None]).all()
    comm.Scatter(all_of if comm.rank == 0 else None, mine)
    assert (mine == comm.rank).all()
    out = np.empty(comm.size, np.int64)
    comm.Alltoall(expected + 10 * comm.rank, out)
    assert (out == 10 * expected + comm.rank).all()


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
    "reduce_scatter": _reduce_scatter,
    "Reduce": _reductions_of_buffers,
    "Gather": _moves_of_buffers,
}
PRESENT = [name for name in CASES if hasattr(fmilib.Communicator, name)]
