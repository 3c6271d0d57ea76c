"""Whatever the codec takes comes back the same; whatever else it is fed is refused."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from fmilib.wire import codec

scalars = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.complex_numbers()
    | st.text() | st.binary()
)  # fmt: skip
keys = st.text() | st.integers() | st.tuples(st.integers(), st.text())
arrays = hnp.arrays(
    hnp.scalar_dtypes() | hnp.byte_string_dtypes() | hnp.unicode_string_dtypes()
    | hnp.array_dtypes(allow_subarrays=False),
    hnp.array_shapes(min_dims=0, min_side=0, max_side=5),
)  # fmt: skip
values = st.recursive(
    scalars | arrays,
    lambda inner: (
        st.lists(inner) | st.dictionaries(keys, inner) | st.tuples(inner) | st.tuples(inner, inner)
    ),
    max_leaves=12,
)


def alike(left: Any, right: Any) -> bool:
    if type(left) is not type(right):
        return False
    if isinstance(left, np.ndarray):
        same = left.shape == right.shape and left.dtype == right.dtype
        return bool(same and left.tobytes() == right.tobytes())
    if isinstance(left, dict):
        return left.keys() == right.keys() and all(alike(left[k], right[k]) for k in left)
    if isinstance(left, list | tuple):
        return len(left) == len(right) and all(map(alike, left, right))
    if isinstance(left, float | complex):
        return repr(left) == repr(right)
    return bool(left == right)


@given(values)
def test_everything_comes_back_the_same(value: Any) -> None:
    blob = b"".join(codec.encode(value))
    assert len(blob) % codec.ALIGN == 0
    assert alike(codec.decode(blob), value)


@given(st.binary(max_size=300))
def test_noise_is_refused_or_harmless(noise: bytes) -> None:
    try:
        codec.decode(noise)
    except codec.CodecError:
        return


@given(values, st.data())
def test_a_damaged_blob_is_refused_or_harmless(value: Any, data: st.DataObject) -> None:
    blob = bytearray(b"".join(codec.encode(value)))
    position = data.draw(st.integers(0, len(blob) - 1))
    blob[position] ^= 1 << data.draw(st.integers(0, 7))
    try:
        codec.decode(blob[: data.draw(st.integers(0, len(blob)))])
    except codec.CodecError:
        return


@pytest.mark.parametrize("value", [object(), {1, 2}, np.array([object()]), lambda: None])
def test_what_could_run_code_is_never_sent(value: Any) -> None:
    with pytest.raises(TypeError):
        codec.encode(value)


def test_what_is_too_deep_is_never_sent() -> None:
    value: Any = math.pi
    for _ in range(codec.MAX_DEPTH + 1):
        value = [value]
    with pytest.raises(ValueError, match="deeper"):
        codec.encode(value)
