"""Reductions of any dtype, shape and op equal numpy's, or are refused alike on every rank."""

from __future__ import annotations

import functools
from typing import Any

import ml_dtypes
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from fmilib.api.communicator import Communicator as Comm
from fmilib.wire.reductions import BUILTIN
from fmilib_support.hall import together

quick = settings(max_examples=100)
ELEMENTWISE = sorted(name for name, op in BUILTIN.items() if op.ufunc is not None)
DTYPES = (
    hnp.scalar_dtypes() | hnp.byte_string_dtypes() | hnp.unicode_string_dtypes()
    | st.sampled_from([np.dtype(ml_dtypes.bfloat16), np.dtype(ml_dtypes.float8_e4m3fn)])
)  # fmt: skip


@st.composite
def operands(draw: st.DrawFn) -> list[Any]:
    """Draw one array a rank, alike in dtype and shape."""
    dtype, size = draw(DTYPES), draw(st.integers(2, 6))
    shape = (size, *draw(hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4)))
    if dtype.num >= 256:
        return list(draw(hnp.arrays("i1", shape)).astype(dtype))
    return [np.asarray(row, dtype) for row in draw(hnp.arrays(dtype, shape))]


def numpys(arrays: list[Any], name: str) -> Any:
    """Return numpy's own left fold, booleans being counted; None if it isn't of their dtype."""
    ufunc: Any = BUILTIN[name].combine
    counted = arrays[0].dtype == bool and name in ("sum", "prod")
    dtype = np.dtype(np.int64) if counted else arrays[0].dtype
    native = dtype.newbyteorder("=")
    truth = name in ("land", "lor", "lxor") and dtype.kind not in "mMSU"
    # With a dimension at least: of a text without one numpy gives a scalar, as long as its value.
    given = [np.atleast_1d(array.astype(native)) for array in arrays]
    try:
        found = functools.reduce(ufunc, given).reshape(arrays[0].shape)
    except TypeError:
        return None
    return found.astype(dtype) if truth or found.dtype == native else None


@quick
@given(operands(), st.sampled_from(ELEMENTWISE), st.integers(0, 2**32))
def test_a_reduction_is_numpys_or_refused_on_every_rank(
    arrays: list[Any], name: str, seed: int
) -> None:
    def body(comm: Comm) -> Any:
        with np.errstate(all="ignore"):
            try:
                return comm.allreduce(arrays[comm.rank], name, deterministic=True)
            except TypeError as refusal:
                return refusal

    with np.errstate(all="ignore"):
        expected = numpys(arrays, name)
    for found in together(len(arrays), body, seed):
        if expected is None:
            assert isinstance(found, TypeError)
        else:
            assert (found.dtype, found.shape) == (expected.dtype, arrays[0].shape)
            assert found.tobytes() == expected.tobytes() or np.array_equal(
                found.astype("c16"), expected.astype("c16"), equal_nan=True
            )
