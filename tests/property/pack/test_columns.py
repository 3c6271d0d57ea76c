"""Whatever shape, nesting, nulls and slices a column has, what is read is what Arrow says it is."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cosmic.data.pack.arrow import common_shape, decoded, leaves
from cosmic.data.pack.source import RowsRefused

LISTS = (lambda inner, _: pa.list_(inner), lambda inner, _: pa.large_list(inner), pa.list_)


@st.composite
def columns(draw: st.DrawFn) -> tuple[Any, tuple[int, ...]]:
    """A sliced column of lists of one shape, in which any row, list or number may be null."""
    shape = tuple(draw(st.lists(st.integers(1, 3), min_size=1, max_size=3)))
    kind: Any = draw(st.sampled_from([pa.int64(), pa.float64()]))
    for length in reversed(shape):
        kind = draw(st.sampled_from(LISTS))(kind, length)
    rows = draw(st.integers(1, 6))
    numbers = iter(range(rows * math.prod(shape)))

    def made(sizes: tuple[int, ...]) -> Any:
        if not sizes:
            number = next(numbers)
            return None if draw(st.integers(0, 9)) == 0 else number
        inner = [made(sizes[1:]) for _ in range(sizes[0])]
        return None if draw(st.integers(0, 5)) == 0 else inner

    array = pa.array([made(shape) for _ in range(rows)], kind)
    start = draw(st.integers(0, rows - 1))
    return array.slice(start, draw(st.integers(1, rows - start))), shape


def filled(value: Any, shape: tuple[int, ...]) -> Any:
    """Arrow's own answer, with NaN for every number that is null or in something null."""
    if value is None:
        return np.full(shape, np.nan)
    return np.array([filled(v, shape[1:]) for v in value]) if shape else float(value)


@given(columns())
def test_lists_are_read_as_arrow_says_them(column: tuple[Any, tuple[int, ...]]) -> None:
    array, shape = column
    (leaf,) = leaves("x", array.type)
    assert common_shape(array, leaf) in (shape, None)
    found = decoded(array, leaf, shape, 0)
    expected = np.array([filled(row, shape) for row in array.to_pylist()])
    values = np.where(found.missing_values(), np.nan, found.data)
    assert np.array_equal(values, expected, equal_nan=True)


@given(st.lists(st.integers(0, 4), min_size=1, max_size=8), st.integers(0, 1000))
def test_rows_of_another_length_are_named(lengths: list[int], start: int) -> None:
    array = pa.array([[1.0] * n for n in lengths])
    (leaf,) = leaves("x", array.type)
    shape = common_shape(array, leaf)
    assert shape is not None
    odd = [start + i for i, n in enumerate(lengths) if (n,) != shape]
    if odd:
        with pytest.raises(RowsRefused) as caught:
            decoded(array, leaf, shape, start)
        assert caught.value.rows == odd
    else:
        assert decoded(array, leaf, shape, start).data.shape == (len(lengths), *shape)
