"""Which arrays can travel, and by what name the other side knows their dtype.

A dtype travels if its name makes the very same dtype again. numpy's short text does so for its
own dtypes, but not for those that others register with it: bfloat16 and several kinds of float8
share their text with raw bytes, or with each other. Those of `ml_dtypes` are known by their own
names; others can be sent between buffers, which only compares names, but not as objects.
"""

from __future__ import annotations

import ast
import functools
import importlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from fmilib.wire.frames import type_code

Array = npt.NDArray[Any]
MAX_DTYPE_TEXT = 4096
EXTENSION = "ml_dtypes"
FIRST_REGISTERED = 256  # numpy numbers dtypes that others register from here on
_PLAIN = frozenset({np.ndarray, np.memmap})
_RECORD = "record "


def check_plain(array: Array) -> None:
    """Refuse an array whose class means more than its numbers: masks, units, matrix products.

    Raises:
        TypeError: it is of a subclass of numpy.ndarray other than memmap.
    """
    if type(array) not in _PLAIN:
        raise TypeError(
            f"a {type(array).__name__} means more than its numbers, and that would be lost: give "
            "numpy.asarray(value), and what else counts (a mask, a unit) as a value of its own"
        )


def dtype_text(dtype: np.dtype[Any]) -> str:
    """Return a dtype's name, the same on all ranks.

    Raises:
        TypeError: it has Python objects in it, or no name of its own.
    """
    if dtype.hasobject:
        raise TypeError(f"arrays of {dtype} hold Python objects; send plain dtypes")
    if dtype.num < 0:  # of a kind that may have parameters, so its class alone doesn't name it
        raise TypeError(f"no name describes {dtype}; send value.view(numpy.uint8)")
    if dtype.num >= FIRST_REGISTERED:
        return f"{dtype.type.__module__}.{dtype.type.__qualname__}"
    return dtype.str if dtype.fields is None else _fields_text(dtype)


@functools.lru_cache(maxsize=256)
def dtype_code(dtype: np.dtype[Any]) -> bytes:
    """Return the 8 bytes that stand for a dtype in a frame.

    Raises:
        TypeError: it has Python objects in it, or no name of its own.
    """
    return type_code(dtype_text(dtype))


def object_dtype_text(dtype: np.dtype[Any]) -> str:
    """Return the name from which `dtype_of` makes a dtype again.

    Raises:
        TypeError: no name does.
    """
    text = dtype_text(dtype)
    if dtype.num >= FIRST_REGISTERED and dtype.type.__module__ != EXTENSION:
        raise TypeError(f"{text} is known to this rank alone; send value.view(numpy.uint8)")
    if np.lib.format.drop_metadata(dtype) is not dtype:
        raise TypeError(
            f"the metadata of {dtype} would be lost; "
            "send value.view(numpy.lib.format.drop_metadata(value.dtype))"
        )
    return _RECORD + text if dtype.type is np.record else text


def dtype_of(text: str) -> np.dtype[Any]:
    """Return the dtype of a name that `object_dtype_text` gave.

    Raises:
        ValueError, TypeError, SyntaxError: it names none that can travel.
    """
    if len(text) > MAX_DTYPE_TEXT:
        raise ValueError(f"a dtype's name of {len(text)} characters")
    if text.startswith(_RECORD):
        return np.dtype((np.record, dtype_of(text.removeprefix(_RECORD))))
    if text.startswith(f"{EXTENSION}."):
        return _extension(text.removeprefix(f"{EXTENSION}."))
    descr: Any = ast.literal_eval(text) if text[:1] in "[(" else text
    if any(name.lstrip("<>|=")[:1] == "a" for name in _type_names(descr)):
        raise ValueError("a dtype's name that numpy never gives")  # and warns of: another for S
    dtype: np.dtype[Any] = np.lib.format.descr_to_dtype(descr)
    if dtype.hasobject:
        raise ValueError("a dtype with Python objects in it")
    return dtype


def _type_names(descr: Any) -> Iterator[str]:
    """The types' names in what describes a dtype: a name, (type, shape), or a list of fields."""
    match descr:
        case str():
            yield descr
        case (str() | list() as inner, _):
            yield from _type_names(inner)
        case list():
            for field in descr:
                yield from _type_names(field[1] if isinstance(field, tuple) and field[1:] else "")


def _fields_text(dtype: np.dtype[Any]) -> str:
    try:
        descr = np.lib.format.dtype_to_descr(np.lib.format.drop_metadata(dtype))
        same = bool(np.lib.format.descr_to_dtype(descr) == dtype)
    except ValueError:  # fields that overlap, or lie in another order than they are named
        same = False
    if not same:
        raise TypeError(f"no name describes {dtype}; send its fields as arrays of their own")
    return repr(descr)


def _extension(name: str) -> np.dtype[Any]:
    """Return a number type of `ml_dtypes`; nothing else of that module can be asked for."""
    try:
        found = getattr(importlib.import_module(EXTENSION), name, None)
    except ModuleNotFoundError:
        raise ValueError(f"{name} was sent: reading it needs the package {EXTENSION}") from None
    if not (isinstance(found, type) and issubclass(found, np.generic)):
        raise ValueError(f"{EXTENSION} has no number type {name!r}")
    return np.dtype(found)
