"""Every collective in closed form, for all counts, dtypes and roots, on one set of ranks."""

from __future__ import annotations

from typing import Any

import numpy as np

import fmilib
from fmilib.ops import pairs

DTYPES = ["?", "i1", "u2", "i4", "i8", "f2", "f4", "f8", "c8", "c16"]
Array = np.ndarray[Any, Any]


def matrix(comm: fmilib.Communicator, counts: list[int]) -> None:
    """Check all of it; the roots take turns, so that every one is met."""
    for step, count in enumerate(counts):
        for place, dtype in enumerate(DTYPES):
            root = (step * len(DTYPES) + place) % comm.size
            rooted(comm, count, np.dtype(dtype), root)
        everyone(comm, count, np.dtype(DTYPES[step % len(DTYPES)]))
        prefixes(comm, count)
    for root in range(comm.size):
        rooted(comm, 3, np.dtype("f8"), root)


def _of(rank: int, count: int, dtype: np.dtype[Any]) -> Array:
    """Return what a rank hands in: small enough that every sum and dtype is exact."""
    return ((np.arange(count) + rank) % 3).astype(dtype)


def rooted(comm: fmilib.Communicator, count: int, dtype: np.dtype[Any], root: int) -> None:
    size, rank, at_root = comm.size, comm.rank, comm.rank == root
    mine, all_of = _of(rank, count, dtype), np.array([_of(r, count, dtype) for r in range(size)])
    total = all_of.astype("i8" if dtype.kind == "b" else dtype).sum(0, dtype=None)
    found = comm.reduce(mine, root=root)
    assert (found is None) != at_root
    assert not at_root or np.array_equal(found, total)
    out = np.zeros((size, count), dtype)
    comm.Gather(mine, out if at_root else None, root)
    assert np.array_equal(out, all_of if at_root else np.zeros_like(out))
    comm.Scatter(all_of if at_root else None, out[0], root)
    assert np.array_equal(out[0], mine)
    part, counts = all_of[0][:rank], [min(r, count) for r in range(size)]
    ragged = np.zeros(sum(counts), dtype)
    comm.Gatherv(part, ragged if at_root else None, counts, root)
    expected = np.concatenate([all_of[0][:r] for r in range(size)])
    assert not at_root or np.array_equal(ragged, expected)
    back = np.zeros_like(part)
    comm.Scatterv(expected if at_root else None, counts, back, root)
    assert np.array_equal(back, part)
    assert np.array_equal(comm.scatter(list(all_of) if at_root else None, root), mine)


def everyone(comm: fmilib.Communicator, count: int, dtype: np.dtype[Any]) -> None:
    size, rank = comm.size, comm.rank
    mine, all_of = _of(rank, count, dtype), np.array([_of(r, count, dtype) for r in range(size)])
    out = np.zeros((size, count), dtype)
    comm.Allgather(mine, out)
    assert np.array_equal(out, all_of)
    assert np.array_equal(comm.allgather(mine), all_of)
    send = np.array([_of(rank + 2 * to, count, dtype) for to in range(size)])
    received = np.array([_of(source + 2 * rank, count, dtype) for source in range(size)])
    comm.Alltoall(send, out)
    assert np.array_equal(out, received)
    assert np.array_equal(comm.alltoall(list(send)), received)
    wide = np.arange(size * count, dtype="i8") * (rank + 1)
    share = np.zeros(count, "i8")
    for deterministic in (False, True):
        comm.Reduce_scatter(wide, share, deterministic=deterministic)
        expected = np.arange(rank * count, (rank + 1) * count) * (size * (size + 1) // 2)
        assert np.array_equal(share, expected)
    low = comm.allreduce(pairs(mine, rank), "minloc")
    assert np.array_equal(low["value"], all_of.min(0))
    assert np.array_equal(low["location"], all_of.argmin(0))


def prefixes(comm: fmilib.Communicator, count: int) -> None:
    mine = np.arange(count) + comm.rank
    for deterministic in (False, True):
        expected = sum(np.arange(count) + rank for rank in range(comm.rank + 1))
        assert np.array_equal(comm.scan(mine, deterministic=deterministic), expected)
        before = comm.exscan(mine, deterministic=deterministic)
        assert (before is None) == (comm.rank == 0)
        assert before is None or np.array_equal(before, expected - mine)
