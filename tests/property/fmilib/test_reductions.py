"""Collectives of living ranks against numpy, for arrays that hypothesis thinks of."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from fmilib.wire import codec
from fmilib.wire.reductions import BUILTIN
from fmilib_support.ranks import Ranks
from fmilib_support.server import Rendezvous

SIZE = 5
relaxed = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
Ask = Callable[[str, list[dict[str, Any]]], list[Any]]

ELEMENTWISE = sorted(name for name, op in BUILTIN.items() if op.ufunc is not None)


@pytest.fixture(scope="module")
def ask(rendezvous: Rendezvous) -> Iterator[Ask]:
    """Return a function that has every rank of one living job do a call."""
    job = Ranks(rendezvous, f"property-{os.getpid()}", SIZE)
    job.start("serve")

    def do(method: str, arguments: list[dict[str, Any]]) -> list[Any]:
        for rank in range(SIZE):
            job.tell(rank, (method, b"".join(codec.encode(arguments[rank]))))
        return [codec.decode(bytearray(job.ask(rank))) for rank in range(SIZE)]

    yield do
    for rank in range(SIZE):
        job.tell(rank, None)
    job.values()
    job.close()


def stacks(dtypes: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Return lists of one array a rank, all of one dtype and shape."""
    shapes = hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=6)
    return st.tuples(dtypes, shapes).flatmap(
        lambda both: hnp.arrays(both[0], (SIZE, *both[1])).map(
            lambda stack: [stack[rank, ...] for rank in range(SIZE)]
        )
    )


whole = hnp.integer_dtypes() | hnp.unsigned_integer_dtypes()
real = hnp.floating_dtypes(sizes=(16, 32, 64))


@relaxed
@given(stacks(whole), st.sampled_from(ELEMENTWISE), st.booleans())
def test_whole_numbers_reduce_as_numpy_does(
    ask: Ask, stack: Any, op: str, deterministic: bool
) -> None:
    ufunc = BUILTIN[op].combine
    expected = stack[0].copy()
    for array in stack[1:]:
        expected = ufunc(expected, array).astype(stack[0].dtype)
    calls = [{"value": array, "op": op, "deterministic": deterministic} for array in stack]
    for found in ask("allreduce", calls):
        assert found.dtype == stack[0].dtype
        assert np.array_equal(found, expected)


@relaxed
@given(stacks(real), st.sampled_from(["sum", "prod", "min", "max"]))
def test_real_numbers_reduce_in_rank_order_bit_for_bit(ask: Ask, stack: Any, op: str) -> None:
    ufunc = BUILTIN[op].combine
    with np.errstate(all="ignore"):
        expected = stack[0].copy()
        for array in stack[1:]:
            expected = np.asarray(ufunc(expected, array), array.dtype)
    calls = [{"value": array, "op": op, "deterministic": True} for array in stack]
    bits = {found.tobytes() for found in ask("allreduce", calls)}
    assert bits == {expected.tobytes()}


@relaxed
@given(stacks(real))
def test_real_numbers_end_with_one_result_on_all_ranks(ask: Ask, stack: Any) -> None:
    found = ask("allreduce", [{"value": array} for array in stack])
    assert len({array.tobytes() for array in found}) == 1


@relaxed
@given(
    st.integers(0, SIZE - 1),
    st.lists(
        hnp.arrays(hnp.scalar_dtypes(), hnp.array_shapes(min_dims=0, min_side=0)),
        min_size=SIZE,
        max_size=SIZE,
    ),
)
def test_gather_brings_what_each_rank_has(ask: Ask, root: int, arrays: list[Any]) -> None:
    found = ask("gather", [{"value": array, "root": root} for array in arrays])
    for rank, answer in enumerate(found):
        if rank != root:
            assert answer is None
            continue
        for got, sent in zip(answer, arrays, strict=True):
            assert (got.dtype, got.shape) == (sent.dtype, sent.shape)
            assert got.tobytes() == sent.tobytes()
