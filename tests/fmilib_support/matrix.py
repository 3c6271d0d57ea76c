"""Every collective, buffer and object, against its closed form; any communicator will do."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import Any

import numpy as np

import fmilib
from fmilib.wire.reductions import pairs
from fmilib_support.forms import DTYPES, Array, Forms

Comm = fmilib.Communicator


def matrix(comm: Comm, counts: Iterable[int], dtypes: int = len(DTYPES)) -> None:
    """Check `once` for every count, roots taking turns; then every root with a few numbers.

    Args:
        comm: any.
        counts: elements of a rank's array.
        dtypes: how many dtypes each count meets, the next count going on where it stopped.
    """
    turns = itertools.cycle(DTYPES)
    steps = itertools.count()
    for count in counts:
        for dtype in itertools.islice(turns, dtypes):
            once(comm, Forms(comm.size, count, dtype), next(steps) % comm.size)
    few = Forms(comm.size, 3, "f8")
    for root in range(comm.size):
        buffers_at(comm, few, root)
        objects_at(comm, [few], root)


def once(comm: Comm, forms: Forms, root: int) -> None:
    """Check every collective, those that have a root at one of them."""
    buffers_at(comm, forms, root)
    objects_at(comm, [forms], root)
    comm.Barrier()
    comm.barrier()
    _allgather(comm, forms)
    _alltoall(comm, forms)
    if forms.countable:
        _reduce(comm, forms, root, deterministic=True)
        _lowest(comm, forms)
        for deterministic in (False, True):
            _allreduce(comm, forms, deterministic=deterministic)
            _reduce_scatter(comm, forms, deterministic=deterministic)
            _scan(comm, forms, deterministic=deterministic)
            _exscan(comm, forms, deterministic=deterministic)


def buffers_at(comm: Comm, forms: Forms, root: int) -> None:
    """Check every collective of buffers that has a root, and `reduce`, there."""
    _bcast(comm, forms, root)
    _gather(comm, forms, root)
    _scatter(comm, forms, root)
    if forms.countable:
        _reduce(comm, forms, root)


def objects_at(comm: Comm, group: list[Forms], root: int) -> None:
    """Check bcast, gather and scatter of lists that have an array of each form."""
    at_root = comm.rank == root
    expected = [forms.mine(root) for forms in group]
    _all_same(comm.bcast(expected if at_root else None, root), expected)
    mine = _parts_of(group, comm.rank)
    per_rank = [_parts_of(group, rank) for rank in range(comm.size)] if at_root else None
    _all_same(comm.scatter(per_rank, root), mine)
    found = comm.gather(mine, root)
    assert (found is not None) == at_root
    for parts, expected in zip(found or (), per_rank or (), strict=True):
        _all_same(parts, expected)


def _parts_of(group: list[Forms], rank: int) -> list[Array]:
    return [forms.part(rank) for forms in group]


def _same(found: Any, expected: Array) -> None:
    assert found.dtype == expected.dtype
    assert found.shape == expected.shape
    same_bits = found.tobytes() == expected.tobytes()
    assert same_bits or np.array_equal(found, expected)  # a long double's padding may differ


def _all_same(found: list[Any], expected: Iterable[Array]) -> None:
    for one, other in zip(found, expected, strict=True):
        _same(one, other)


def _blank(forms: Forms, *shape: int) -> Array:
    """Return a buffer to be filled, in which something else lies."""
    return _filled(np.empty(shape, forms.dtype))


def _blank_sum(forms: Forms, *shape: int) -> Array:
    """Return a buffer to be filled with a sum."""
    return _filled(np.empty(shape, forms.summed))


def _filled(found: Array) -> Array:
    found.view(np.uint8)[...] = 1
    return found


# -- with a root ------------------------------------------------------------------


def _bcast(comm: Comm, forms: Forms, root: int) -> None:
    expected = forms.mine(root)
    buffer = expected.copy() if comm.rank == root else _blank(forms, forms.count)
    comm.Bcast(buffer, root)
    _same(buffer, expected)


def _gather(comm: Comm, forms: Forms, root: int) -> None:
    mine, part = forms.mine(comm.rank), forms.part(comm.rank)
    if comm.rank != root:
        comm.Gather(mine, None, root)
        comm.Gatherv(part, None, None, root)
        return
    out = _blank(forms, comm.size, forms.count)
    comm.Gather(mine, out, root)
    _same(out, forms.all_of)
    out = _blank(forms, sum(forms.counts))
    comm.Gatherv(part, out, forms.counts, root)
    _same(out, forms.ragged)


def _scatter(comm: Comm, forms: Forms, root: int) -> None:
    out, part = _blank(forms, forms.count), _blank(forms, forms.counts[comm.rank])
    at_root = comm.rank == root
    comm.Scatter(forms.all_of if at_root else None, out, root)
    _same(out, forms.mine(comm.rank))
    comm.Scatterv(forms.ragged if at_root else None, forms.counts, part, root)
    _same(part, forms.part(comm.rank))


def _reduce(comm: Comm, forms: Forms, root: int, *, deterministic: bool = False) -> None:
    mine = forms.mine(comm.rank)
    out = _blank_sum(forms, forms.count) if comm.rank == root else None
    comm.Reduce(mine, out, root=root, deterministic=deterministic)
    found = comm.reduce(mine, root=root, deterministic=deterministic)
    assert (found is None) == (out is None)
    if out is not None:
        _same(out, forms.sum_of(comm.size))
        _same(found, forms.sum_of(comm.size))


# -- without ----------------------------------------------------------------------


def _allgather(comm: Comm, forms: Forms) -> None:
    mine, out = forms.mine(comm.rank), _blank(forms, comm.size, forms.count)
    comm.Allgather(mine, out)
    _same(out, forms.all_of)
    _all_same(comm.allgather(mine), forms.all_of)


def _alltoall(comm: Comm, forms: Forms) -> None:
    shares: Any = forms.shares(comm.rank)
    expected = forms.received(comm.rank)
    out = _blank(forms, comm.size, forms.share)
    comm.Alltoall(shares, out)
    _same(out, expected)
    _all_same(comm.alltoall(shares), expected)


def _allreduce(comm: Comm, forms: Forms, *, deterministic: bool) -> None:
    mine, out = forms.mine(comm.rank), _blank_sum(forms, forms.count)
    comm.Allreduce(mine, out, deterministic=deterministic)
    _same(out, forms.sum_of(comm.size))
    found = comm.allreduce(mine, deterministic=deterministic)
    _same(found, forms.sum_of(comm.size))


def _lowest(comm: Comm, forms: Forms) -> None:
    if forms.dtype.kind != "c":
        low = comm.allreduce(pairs(forms.mine(comm.rank), comm.rank), "minloc")
        assert np.array_equal(low["value"], forms.all_of.min(0))
        assert np.array_equal(low["location"], forms.all_of.argmin(0))


def _reduce_scatter(comm: Comm, forms: Forms, *, deterministic: bool) -> None:
    wide, out = forms.wide(comm.rank), _blank_sum(forms, forms.share)
    comm.Reduce_scatter(wide, out, deterministic=deterministic)
    _same(out, forms.share_of_sum(comm.rank))
    rows: Any = wide.reshape(comm.size, forms.share)
    found = comm.reduce_scatter(rows, deterministic=deterministic)
    _same(found, forms.share_of_sum(comm.rank))
    out = _blank_sum(forms, forms.parts[comm.rank])
    comm.Reduce_scatter(forms.mine(comm.rank), out, forms.parts, deterministic=deterministic)
    _same(out, forms.sum_of(comm.size)[forms.edges[comm.rank] : forms.edges[comm.rank + 1]])


def _scan(comm: Comm, forms: Forms, *, deterministic: bool) -> None:
    mine, out = forms.mine(comm.rank), _blank_sum(forms, forms.count)
    comm.Scan(mine, out, deterministic=deterministic)
    _same(out, forms.sum_of(comm.rank + 1))
    found = comm.scan(mine, deterministic=deterministic)
    _same(found, forms.sum_of(comm.rank + 1))


def _exscan(comm: Comm, forms: Forms, *, deterministic: bool) -> None:
    mine, out = forms.mine(comm.rank), _blank_sum(forms, forms.count)
    untouched = out.copy()
    comm.Exscan(mine, out, deterministic=deterministic)
    found = comm.exscan(mine, deterministic=deterministic)
    if comm.rank == 0:
        assert out.tobytes() == untouched.tobytes()
        assert found is None
        return
    _same(out, forms.sum_of(comm.rank))
    _same(found, forms.sum_of(comm.rank))
