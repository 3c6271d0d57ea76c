"""One closed form for each collective, and for what else ranks do together, for any channel."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

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


def _unequal_moves_of_buffers(comm: Any) -> None:
    counts = [(rank + 1) % 3 * 7000 for rank in range(comm.size)]
    expected = np.repeat(np.arange(comm.size, dtype=np.float32), counts)
    mine = np.full(counts[comm.rank], comm.rank, np.float32)
    for root in (0, comm.size - 1):
        at_root, out, back = comm.rank == root, np.zeros_like(expected), np.zeros_like(mine)
        comm.Gatherv(mine, out if at_root else None, counts if at_root else None, root)
        assert np.array_equal(out, expected if at_root else np.zeros_like(expected))
        comm.Scatterv(expected if at_root else None, counts if at_root else None, back, root)
        assert np.array_equal(back, mine)
    parts = np.split(expected, np.cumsum(counts)[:-1])
    found = comm.gatherv(mine, 1)
    assert found is None or all(map(np.array_equal, found, parts))
    assert np.array_equal(comm.scatterv(parts if comm.rank == 1 else None, 1), mine)


def _swaps(comm: Any) -> None:
    right, left = (comm.rank + 1) % comm.size, (comm.rank - 1) % comm.size
    for count in (3, 100_000):
        mine, out = np.full(count, comm.rank), np.zeros(count + left, np.int64)
        longer = np.full(count + comm.rank, comm.rank)
        comm.Sendrecv(longer, right, out, left, sendtag=5, recvtag=5)
        assert (out == left).all()
        found = comm.sendrecv(mine, left, right)
        assert np.array_equal(found, np.full(count, right))
        comm.Barrier()
        assert np.array_equal(comm.sendrecv(mine, comm.rank, comm.rank), mine)


def _parts_of_the_job(comm: Any) -> None:
    twin = comm.dup()
    half = comm.split(comm.rank % 2, -comm.rank)
    assert comm.split(None) is None
    members = list(range(comm.rank % 2, comm.size, 2))[::-1]
    twin.send(("twin", comm.rank), (comm.rank + 1) % comm.size)
    comm.send(("comm", comm.rank), (comm.rank + 1) % comm.size)
    before = (comm.rank - 1) % comm.size
    assert comm.recv(before) == ("comm", before)
    assert (half.rank, half.size) == (members.index(comm.rank), len(members))
    assert half.allgather(comm.rank) == members
    assert half.allreduce(1) + twin.allreduce(1) == len(members) + comm.size
    buffer = np.full(20_000, comm.rank)
    half.Bcast(buffer, half.size - 1)
    assert (buffer == members[-1]).all()
    half.close()
    assert twin.recv(before) == ("twin", before)
    twin.close()
    comm.Barrier()


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
    "Reduce Scan Exscan Reduce_scatter": _reductions_of_buffers,
    "Gather Allgather Scatter Alltoall": _moves_of_buffers,
    "Gatherv Scatterv gatherv scatterv": _unequal_moves_of_buffers,
    "Sendrecv sendrecv Barrier": _swaps,
    "split dup": _parts_of_the_job,
}
