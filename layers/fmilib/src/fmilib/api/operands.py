"""What users hand in, checked before anything is sent: whole numbers, buffers, lists, operands.

Every buffer of a call passes `as_buffer`, every pair of them `apart`, and everything that is
reduced as an object `reducible`.
"""

from __future__ import annotations

import itertools
import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from fmilib.wire.arrays import Array, check_plain, dtype_code
from fmilib.wire.reductions import BUILTIN, Op, pairs

_LOCATING = frozenset({BUILTIN["minloc"], BUILTIN["maxloc"]})
_NUMBERS = (bool, int, float, complex, str, bytes, np.generic)
_TEXTS = (str, bytes, bytearray, memoryview)


def whole(name: str, value: Any) -> int:
    """Return a whole number as Python's.

    Raises:
        TypeError: it is none.
    """
    try:
        return operator.index(value)
    except TypeError:
        raise TypeError(f"{name} must be a whole number, got {value!r}") from None


# -- buffers -----------------------------------------------------------------------


def as_buffer(array: Array | None, *, write: bool = False) -> Array:
    """Return a user's buffer if it can be one.

    Raises:
        TypeError: it is no plain array, or one whose dtype can't travel.
        ValueError: it isn't C-contiguous, or must be written and can't be.
    """
    if type(array) is not np.ndarray:  # nearly all are: they aren't asked what else they might be
        if not isinstance(array, np.ndarray):
            raise TypeError(
                f"a buffer is a numpy array, got {type(array).__name__}; numpy.asarray(value), or "
                "numpy.frombuffer(value, dtype) of bytes, makes one"
            )
        check_plain(array)
    dtype_code(array.dtype)
    flags = array.flags
    if not flags.c_contiguous or (write and not flags.writeable):
        raise ValueError("a buffer must be C-contiguous" + (" and writable" if write else ""))
    return array


def at_root(name: str, array: Array | None) -> Array:
    """Return what the root alone must give.

    Raises:
        ValueError: it didn't.
    """
    if array is None:
        raise ValueError(f"the root needs an array for {name}")
    return array


def apart(name: str, one: Array, other: Array, place: Array | None = None) -> None:
    """Refuse two buffers that share memory, unless `one` is exactly `place`.

    Args:
        name: of the call.
        one: C-contiguous.
        other: C-contiguous; the other buffer, of which `place` is a part.
        place: where `one` may lie; None if nowhere.

    Raises:
        ValueError: receiving would change what is still to be sent.
    """
    if one is place or not np.may_share_memory(one, other):
        return  # C-contiguous arrays share memory if and only if their bounds overlap
    if place is not None and (one.dtype, one.size, _start(one)) == (
        place.dtype, place.size, _start(place),
    ):  # fmt: skip
        return
    way_out = "copy one" if place is None else "copy one, or use the very same part of both"
    raise ValueError(f"{name}: the buffers to send and to receive into share memory; {way_out}")


def alike(name: str, send: Array, out: Array) -> None:
    """Refuse buffers of other dtypes or shapes, or that overlap without being the same.

    Raises:
        ValueError.
    """
    if send.dtype != out.dtype or send.shape != out.shape:
        raise ValueError(f"{send.dtype}{send.shape} doesn't fit {out.dtype}{out.shape}")
    apart(name, send, out, out)


def reduced_alike(name: str, send: Array, out: Array, op: Op) -> None:
    """Refuse an `out` that can't hold a reduction of `send`.

    Raises:
        ValueError.
    """
    expected = op.counted(send.dtype)
    if expected != send.dtype and out.dtype == send.dtype:
        raise ValueError(
            f"{name}: {op.name} counts booleans, so `out` must be {expected}; "
            "lor, land and lxor keep booleans"
        )
    if expected != out.dtype or send.shape != out.shape:
        raise ValueError(f"{expected}{send.shape} doesn't fit {out.dtype}{out.shape}")
    apart(name, send, out, out)


def working_copy(send: Array, op: Op) -> Array:
    """Return a copy of a buffer, in the dtype in which it is reduced."""
    return send.astype(op.counted(send.dtype), order="C", copy=True)


def counts_of(counts: Sequence[int] | None, size: int) -> list[int]:
    """Return the elements of each rank.

    Raises:
        TypeError: a count is no whole number.
        ValueError: there isn't one a rank, or one is negative.
    """
    given = [whole("a count", count) for count in (() if counts is None else counts)]
    if len(given) != size or min(given) < 0:
        raise ValueError(f"counts must be {size} numbers of 0 or more, one a rank; got {counts}")
    return given


def parts(array: Array, counts: list[int], dtype: np.dtype[Any]) -> list[Array]:
    """Return views of an array's parts, one after another.

    Raises:
        ValueError: they aren't the whole of it, or it has another dtype.
    """
    if array.dtype != dtype or array.size != sum(counts):
        raise ValueError(f"{array.size} of {array.dtype} don't fit {counts} of {dtype}")
    edges = [0, *itertools.accumulate(counts)]
    flat = array.reshape(-1)
    return [flat[start:stop] for start, stop in itertools.pairwise(edges)]


def _start(array: Array) -> int:
    address: int = array.__array_interface__["data"][0]
    return address


# -- objects -----------------------------------------------------------------------


def one_a_rank(values: Any, size: int) -> Sequence[Any]:
    """Return a list of one item a rank.

    Raises:
        TypeError: it has no order of its own (a dict, a set), or is text or bytes.
        ValueError: there are more or fewer.
    """
    if isinstance(values, np.ndarray):
        check_plain(values)
        values = values if values.ndim else None
    elif isinstance(values, _TEXTS) or not isinstance(values, Sequence | None):
        raise TypeError(f"one item a rank is needed, as a list; got {type(values).__name__}")
    if values is None or len(values) != size:
        given = "none" if values is None else len(values)
        raise ValueError(f"one item a rank is needed, {size} of them; got {given}")
    items: Sequence[Any] = values
    return items


def reducible(value: Any, op: Op) -> Array:
    """Return a new C-contiguous array of what is to be reduced.

    Raises:
        TypeError: it isn't made of plain arrays and numbers.
    """
    if isinstance(value, tuple) and len(value) == 2 and op in _LOCATING:
        _check_numbers(value)
        value = pairs(np.asarray(value[0]), value[1])
    if type(value) is not np.ndarray:
        _check_numbers(value)
    array = np.array(value, order="C", copy=True)
    dtype_code(array.dtype)
    dtype = op.counted(array.dtype)
    return array if dtype is array.dtype else array.astype(dtype)


def _check_numbers(value: Any) -> None:
    """Refuse what numpy would make an array of without what else it means."""
    if isinstance(value, np.ndarray):
        check_plain(value)
    elif isinstance(value, list | tuple):
        if not set(map(type, value)) <= {bool, int, float, complex}:
            for item in value:
                _check_numbers(item)
    elif not isinstance(value, _NUMBERS):
        raise TypeError(
            f"a {type(value).__name__} can't be reduced: give a numpy array, a number, or a list "
            "of them"
        )
