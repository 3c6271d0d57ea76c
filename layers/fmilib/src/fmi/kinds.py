"""The names that programs hand to a communicator: element types, reductions, hints."""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum
from typing import Any

import numpy as np

from fmilib.wire.reductions import BUILTIN, Op, named

Array = np.ndarray[Any, Any]
datatypes = IntEnum("datatypes", ["int", "double", "int_list", "double_list"], start=0)
op = IntEnum("op", ["sum", "prod", "max", "min", "custom"], start=0)
hints = IntEnum("hints", ["fast", "cheap"], start=0)


class Misuse(ValueError, RuntimeError):  # noqa: N818 - published programs catch RuntimeError
    """A value that isn't what was announced."""


class types:  # noqa: N801 - the published name
    """What a message consists of.

    Args:
        datatype: one of `datatypes`.
        n: elements, of a list; who only sends one needs not say.
    """

    def __init__(self, datatype: datatypes, n: int | None = None) -> None:
        if n is not None and n < 0:
            raise Misuse(f"n must be 0 or more, got {n}")
        self.is_list = datatype.name.endswith("_list")
        self.dtype = np.dtype(np.int32 if datatype.name.startswith("int") else np.float64)
        self._count = n if self.is_list else 1

    @property
    def count(self) -> int:
        """How many elements were announced.

        Raises:
            Misuse: none were.
        """
        if self._count is None:
            raise Misuse("how long the list is must be announced: fmi.types(datatype, n)")
        return self._count

    def array(self, value: Any, *, any_length: bool = False) -> Array:
        """Return a value as an array of one dimension.

        Args:
            value: a number or a list.
            any_length: the announced length binds the receiver only.

        Raises:
            Misuse, OverflowError: it isn't of this type.
        """
        array = np.array(value if self.is_list else [value])
        announced = array.size if any_length or self._count is None else self._count
        if array.shape != (announced,):
            raise Misuse(f"{announced} elements were announced, got shape {array.shape}")
        return _converted(array, self.dtype)

    def value(self, array: Array) -> Any:
        """Return an array as what the program gets: a number or a list."""
        return array.tolist() if self.is_list else array.reshape(-1)[0].item()


class func:  # noqa: N801 - the published name
    """A reduction.

    Args:
        kind: one of `op`.
        function: of two numbers, for `op.custom`; the others don't look at it.
        commutative, associative: what may be assumed of it.
    """

    def __init__(
        self,
        kind: op,
        function: Callable[[Any, Any], Any] | None = None,
        commutative: bool = False,
        associative: bool = False,
    ) -> None:
        if kind is not op.custom:
            self.op: Op = BUILTIN[kind.name]
        elif function is None:
            raise Misuse("op.custom needs a function of two numbers")
        else:
            self.op = named(_each(function), commutative=commutative, associative=associative)


def _each(function: Callable[[Any, Any], Any]) -> Callable[[Array, Array], Array]:
    def combine(left: Array, right: Array) -> Array:
        pairs = zip(left.tolist(), right.tolist(), strict=True)
        return _converted(np.array([function(a, b) for a, b in pairs]), left.dtype)

    return combine


def _converted(array: Array, dtype: np.dtype[Any]) -> Array:
    """Return numbers in an announced dtype.

    Raises:
        Misuse, OverflowError: a number can't be one of it.
    """
    if array.size and array.dtype.kind not in ("iub" if dtype.kind == "i" else "iubf"):
        raise Misuse(f"{dtype} was announced, got {array.dtype}")
    found = array.astype(dtype)
    if dtype.kind == "i" and not np.array_equal(found, array):
        raise OverflowError("a number doesn't fit 32 bits")
    return found
