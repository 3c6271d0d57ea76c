"""Every collective against numpy, for sizes, arrays, roots and ops that hypothesis thinks of.

The ranks are greenlets (`fmilib_support.hall`); which of them goes on first is drawn too.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from fmilib.api.communicator import Communicator as Comm
from fmilib.wire import reductions
from fmilib_support.hall import together

Array = np.ndarray[Any, Any]
quick = settings(max_examples=60)
SIZES = st.integers(1, 11)
SEEDS = st.integers(0, 2**32)
WHOLE = hnp.integer_dtypes() | hnp.unsigned_integer_dtypes()
REAL = hnp.floating_dtypes(sizes=(16, 32, 64))
SHAPES = hnp.array_shapes(min_dims=1, max_dims=2, min_side=0, max_side=5)


@dataclass(frozen=True)
class Job:
    """What all ranks hand in, the root, and the order in which they go on."""

    arrays: list[Array]
    root: int
    seed: int

    @property
    def size(self) -> int:
        return len(self.arrays)

    def run(self, body: Callable[[Comm, Array], Any]) -> list[Any]:
        """Return what `body(comm, its array)` returned on each rank."""

        def live(comm: Comm) -> Any:
            with np.errstate(all="ignore"):
                return body(comm, self.arrays[comm.rank])

        return together(self.size, live, self.seed)


@st.composite
def alike(draw: st.DrawFn, dtypes: st.SearchStrategy[Any], each: int = 0) -> Job:
    """Draw a job whose ranks have arrays of one dtype and shape; `each` more rows a rank."""
    size, dtype, shape = draw(SIZES), draw(dtypes), draw(SHAPES)
    if each:
        shape = (size, *shape)
    stack = draw(hnp.arrays(dtype, (size, *shape)))
    return Job(list(stack), draw(st.integers(0, size - 1)), draw(SEEDS))


@st.composite
def ragged(draw: st.DrawFn) -> Job:
    """Draw a job whose ranks have as many elements of one dtype as they like."""
    size, dtype = draw(SIZES), draw(hnp.scalar_dtypes())
    counts = draw(st.lists(st.integers(0, 9), min_size=size, max_size=size))
    arrays = [draw(hnp.arrays(dtype, count)) for count in counts]
    return Job(arrays, draw(st.integers(0, size - 1)), draw(SEEDS))


def same(found: Array, expected: Array) -> bool:
    """Return whether two arrays are alike, bit for bit."""
    alike = found.dtype == expected.dtype and found.shape == expected.shape
    return alike and found.tobytes() == expected.tobytes()


# -- what moves -------------------------------------------------------------------


@quick
@given(alike(hnp.scalar_dtypes()))
def test_moves_of_equal_arrays_bring_every_bit(job: Job) -> None:
    stack = np.array(job.arrays, job.arrays[0].dtype)

    def body(comm: Comm, mine: Array) -> None:
        at_root, one, all_of = comm.rank == job.root, mine.copy(), np.zeros_like(stack)
        comm.Bcast(one, job.root)
        assert same(one, stack[job.root])
        assert same(comm.bcast(mine if at_root else None, job.root), stack[job.root])
        comm.Gather(mine, all_of if at_root else None, job.root)
        assert not at_root or same(all_of, stack)
        comm.Allgather(mine, all_of)
        assert same(all_of, stack)
        comm.Scatter(stack if at_root else None, one, job.root)
        assert same(one, mine)
        comm.Barrier()
        assert all(map(same, comm.allgather(mine), job.arrays))

    job.run(body)


@quick
@given(ragged())
def test_moves_of_unequal_arrays_bring_every_bit(job: Job) -> None:
    dtype, counts = job.arrays[0].dtype, [len(array) for array in job.arrays]
    joined = np.concatenate(job.arrays).astype(dtype)

    def body(comm: Comm, mine: Array) -> None:
        at_root, out, back = comm.rank == job.root, np.zeros_like(joined), np.zeros_like(mine)
        comm.Gatherv(mine, out if at_root else None, counts if at_root else None, job.root)
        assert not at_root or same(out, joined)
        comm.Scatterv(joined if at_root else None, counts if at_root else None, back, job.root)
        assert same(back, mine)
        found = comm.gatherv(mine, job.root)
        assert all(map(same, found or job.arrays, job.arrays))
        assert same(comm.scatterv(job.arrays if at_root else None, job.root), mine)
        assert all(map(same, comm.allgather(mine), job.arrays))

    job.run(body)


@quick
@given(alike(hnp.scalar_dtypes(), each=1))
def test_alltoall_is_a_transposition(job: Job) -> None:
    stack = np.array(job.arrays, job.arrays[0].dtype)
    turned = np.ascontiguousarray(stack.swapaxes(0, 1))

    def body(comm: Comm, mine: Array) -> None:
        out = np.zeros_like(mine)
        comm.Alltoall(mine, out)
        assert same(out, turned[comm.rank])
        assert all(map(same, comm.alltoall(list(mine)), turned[comm.rank]))

    job.run(body)


# -- what is reduced --------------------------------------------------------------

OPS: dict[str, Any] = {
    **{name: op for name, op in reductions.BUILTIN.items() if op.ufunc is not None},
    "minus": reductions.named(lambda a, b: a - b),
    "first": reductions.named(lambda a, _: a),
    "last": reductions.named(lambda _, b: b, associative=True),
    "mixed": reductions.named(lambda a, b: a * 3 ^ b, commutative=True, associative=False),
    "any order": reductions.named(lambda a, b: a | b, commutative=True),
}


def fold(arrays: list[Array], op: Any) -> Array:
    """Return ((x0 ∘ x1) ∘ x2) ∘ …, in the arrays' own dtype."""
    return functools.reduce(lambda a, b: np.asarray(op.combine(a, b), a.dtype), arrays)


def _reduced(comm: Comm, mine: Array, job: Job, op: Any, *, deterministic: bool) -> list[Any]:
    """Return all that a rank gets of one reduction: reduce, allreduce, scan, exscan."""
    out, total, upto, before = (np.zeros_like(mine) for _ in range(4))
    how = {"op": op, "deterministic": deterministic}
    comm.Reduce(mine, out, root=job.root, **how)
    comm.Allreduce(mine, total, **how)
    comm.Scan(mine, upto, **how)
    comm.Exscan(mine, before, **how)
    return [
        out if comm.rank == job.root else None, total, upto, before if comm.rank else None,
        comm.reduce(mine, root=job.root, **how), comm.allreduce(mine, **how),
        comm.scan(mine, **how), comm.exscan(mine, **how),
    ]  # fmt: skip


def _check_reduced(job: Job, op: Any, *, deterministic: bool) -> None:
    body = functools.partial(_reduced, job=job, op=op, deterministic=deterministic)
    total = fold(job.arrays, op)
    for rank, found in enumerate(job.run(body)):
        at_root = total if rank == job.root else None
        before = fold(job.arrays[:rank], op) if rank else None
        expected = [at_root, total, fold(job.arrays[: rank + 1], op), before]
        for one, other in zip(found, 2 * expected, strict=True):
            assert (one is None) == (other is None)
            assert other is None or same(one, other)


@quick
@given(alike(WHOLE), st.sampled_from(sorted(OPS)), st.booleans())
def test_whole_numbers_reduce_as_a_fold(job: Job, name: str, deterministic: bool) -> None:
    _check_reduced(job, OPS[name], deterministic=deterministic)


@quick
@given(alike(REAL), st.sampled_from(["sum", "prod", "min", "max", "minus", "first", "last"]))
def test_real_numbers_reduce_as_a_fold_bit_for_bit_if_deterministic(job: Job, name: str) -> None:
    with np.errstate(all="ignore"):
        _check_reduced(job, OPS[name], deterministic=True)


@quick
@given(alike(REAL), st.sampled_from(["sum", "prod"]), SEEDS)
def test_all_ranks_and_runs_get_the_same_bits(job: Job, name: str, other_seed: int) -> None:
    def body(comm: Comm, mine: Array) -> bytes:
        bits: bytes = comm.allreduce(mine, name).tobytes()
        return bits

    with np.errstate(all="ignore"):
        first = job.run(body)
        again = Job(job.arrays, job.root, other_seed).run(body)
    assert len({*first, *again}) == 1


@quick
@given(alike(WHOLE | REAL, each=1), st.sampled_from(["sum", "max", "minus", "last"]), st.data())
def test_reduce_scatter_gives_each_its_part_of_the_fold(
    job: Job, name: str, data: st.DataObject
) -> None:
    op = OPS[name]
    edges = sorted(data.draw(st.lists(st.integers(0, job.arrays[0].size),
                                      min_size=job.size - 1, max_size=job.size - 1)))  # fmt: skip
    counts = np.diff([0, *edges, job.arrays[0].size]).tolist()

    def body(comm: Comm, mine: Array) -> tuple[Array, Array, Array]:
        rows: Any = mine
        part, row = np.zeros(counts[comm.rank], mine.dtype), np.zeros_like(mine[0])
        comm.Reduce_scatter(mine, part, counts, op, deterministic=True)
        comm.Reduce_scatter(mine, row, op=op, deterministic=True)
        return part, row, comm.reduce_scatter(rows, op, deterministic=True)

    with np.errstate(all="ignore"):
        total, found = fold(job.arrays, op), job.run(body)
    parts = np.split(total.reshape(-1), edges)
    for rank, (part, row, item) in enumerate(found):
        assert same(part, parts[rank])
        assert same(row, total[rank])
        assert same(item, total[rank])


@quick
@given(SIZES, SEEDS, st.data())
def test_a_function_that_minds_the_order_sees_ranks_in_order(
    size: int, seed: int, data: st.DataObject
) -> None:
    turns = [data.draw(hnp.arrays("i4", (2, 2))) for _ in range(size)]
    job = Job(turns, data.draw(st.integers(0, size - 1)), seed)
    _check_reduced(job, reductions.named(np.matmul), deterministic=False)


@pytest.mark.parametrize("count", [5000, 40_000])
@pytest.mark.parametrize("size", [3, 7, 8])
def test_long_arrays_too_reduce_as_a_fold_bit_for_bit(size: int, count: int) -> None:
    rng = np.random.default_rng(size)
    arrays = [rng.standard_normal(count) * 10.0 ** rng.integers(-8, 8, count) for _ in range(size)]
    _check_reduced(Job(arrays, size - 1, seed=count), OPS["sum"], deterministic=True)
