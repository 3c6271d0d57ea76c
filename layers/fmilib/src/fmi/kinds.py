"""The names that programs hand to a communicator: element types, reductions, hints."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Any

import numpy as np

from fmilib.ops import BUILTIN, Op, named

Array = np.ndarray[Any, Any]
datatypes = Enum("datatypes", ["int", "double", "int_list", "double_list"])
op = Enum("op", ["sum", "prod", "max", "min", "custom"])
hints = Enum("hints", ["cheap", "fast"])


class types:  # noqa: N801 - the published name
    """What a message consists of.

    Args:
        datatype: one of `datatypes`.
        n: elements, of a list.
    """

    def __init__(self, datatype: datatypes, n: int = 1) -> None:
        if n < 0:
            raise ValueError(f"n must be 0 or more, got {n}")
        self.is_list = datatype.name.endswith("_list")
        self.dtype = np.dtype(np.int32 if datatype.name.startswith("int") else np.float64)
        self.count = n if self.is_list else 1

    def array(self, value: Any) -> Array:
        """Return a value as an array of one dimension.

        Raises:
            ValueError, OverflowError, TypeError: it isn't of this type.
        """
        array = np.array(value if self.is_list else [value])
        if array.shape != (self.count,):
            raise ValueError(f"{self.count} elements were announced, got shape {array.shape}")
        if self.dtype.kind == "i" and array.size and array.dtype.kind not in "iub":
            raise TypeError(f"whole numbers were announced, got {array.dtype}")
        found = array.astype(self.dtype)
        if self.dtype.kind == "i" and not np.array_equal(found, array):
            raise OverflowError("a number doesn't fit 32 bits")
        return found

    def value(self, array: Array) -> Any:
        """Return an array as what the program gets: a number or a list."""
        return array.tolist() if self.is_list else array.reshape(-1)[0].item()


class func:  # noqa: N801 - the published name
    """A reduction.

    Args:
        kind: one of `op`.
        function: of two numbers, for `op.custom`.
        commutative, associative: what may be assumed of it.
    """

    def __init__(
        self,
        kind: op,
        function: Callable[[Any, Any], Any] | None = None,
        commutative: bool = False,
        associative: bool = False,
    ) -> None:
        if (kind is op.custom) != (function is not None):
            raise ValueError("op.custom, and only that, takes a function")
        self.op: Op = BUILTIN.get(kind.name) or named(
            _each(function), commutative=commutative, associative=associative
        )


def _each(function: Callable[[Any, Any], Any] | None) -> Callable[[Array, Array], Array]:
    def combine(left: Array, right: Array) -> Array:
        assert function is not None  # noqa: S101 - checked by func
        pairs = zip(left.tolist(), right.tolist(), strict=True)
        return np.array([function(a, b) for a, b in pairs], left.dtype)

    return combine
