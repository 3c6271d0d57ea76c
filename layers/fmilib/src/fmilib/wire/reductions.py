"""Reductions: numpy's own element-wise functions, by name, and any callable.

Python integers are reduced as int64 and wrap as numpy's do.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Combine = Callable[[Array, Array], Array]
_USER_CODE = 255


@dataclass(frozen=True, slots=True)
class Op:
    """One reduction.

    Attributes:
        name: as users write it.
        code: one byte that stands for it in a frame.
        combine: (left, right) → array of the same shape and dtype.
        commutative: False if the order of ranks matters; then it is kept.
        associative: False if ranks must be folded one by one, left to right.
        ufunc: numpy's function that can write into its left operand, if there is one.
    """

    name: str
    code: int
    combine: Combine
    commutative: bool = True
    ufunc: np.ufunc | None = None
    associative: bool = True

    @property
    def ordered(self) -> bool:
        """Whether ranks must be folded one by one, from the left."""
        return not (self.commutative and self.associative)

    def into(self, target: Array, right: Array) -> None:
        """Set `target` to `target ∘ right`, in place."""
        if self.ufunc is not None and self.ufunc.nout == 1:
            self.ufunc(target, right, out=target, casting="unsafe")
        else:
            target[...] = self.combine(target, right)

    def before(self, left: Array, target: Array) -> None:
        """Set `target` to `left ∘ target`, in place."""
        if self.ufunc is not None:
            self.ufunc(left, target, out=target, casting="unsafe")
        else:
            target[...] = self.combine(left, target)


def pairs(values: Array, locations: Any) -> Array:
    """Return what minloc and maxloc reduce: an array with the fields value and location.

    Args:
        values: numbers, any shape.
        locations: integers of that shape, or one for all, such as the rank; kept as int64.
    """
    values = np.asarray(values)
    found = np.empty(values.shape, [("value", values.dtype), ("location", np.int64)])
    found["value"], found["location"] = values, locations
    return found


def _minloc(left: Array, right: Array) -> Array:
    return _by_value(left, right, np.less)


def _maxloc(left: Array, right: Array) -> Array:
    return _by_value(left, right, np.greater)


def _by_value(left: Array, right: Array, better: np.ufunc) -> Array:
    """Take the better value of each pair, at the lower location if equal; NaN beats all."""
    value, location = _fields(left.dtype)
    a, b = left[value], right[value]
    a_nan, b_nan = a != a, b != b  # noqa: PLR0124 - NaN alone differs from itself
    equal = (a == b) | (a_nan & b_nan)
    lower = left[location] <= right[location]
    take_left = (equal & lower) | (~equal & ~b_nan & (a_nan | better(a, b)))
    return np.where(take_left, left, right)


def _fields(dtype: np.dtype[Any]) -> tuple[str, str]:
    if dtype.names is None or len(dtype.names) != 2:
        raise TypeError(f"minloc and maxloc take two fields, see ops.pairs; got {dtype}")
    return dtype.names[0], dtype.names[1]


def _builtin(name: str, code: int, ufunc: np.ufunc) -> Op:
    return Op(name, code, ufunc, commutative=True, ufunc=ufunc)


BUILTIN: dict[str, Op] = {
    op.name: op
    for op in (
        _builtin("sum", 1, np.add),
        _builtin("prod", 2, np.multiply),
        _builtin("min", 3, np.minimum),
        _builtin("max", 4, np.maximum),
        _builtin("land", 5, np.logical_and),
        _builtin("lor", 6, np.logical_or),
        _builtin("lxor", 7, np.logical_xor),
        _builtin("band", 8, np.bitwise_and),
        _builtin("bor", 9, np.bitwise_or),
        _builtin("bxor", 10, np.bitwise_xor),
        Op("minloc", 11, _minloc),
        Op("maxloc", 12, _maxloc),
    )
}


def named(
    op: str | Op | Combine, *, commutative: bool = False, associative: bool | None = None
) -> Op:
    """Return the reduction that `op` means.

    Args:
        op: a name (sum prod min max land lor lxor band bor bxor minloc maxloc), an Op, or a
            callable (left, right) → array. A callable is taken in rank order, left to right,
            unless neither order nor grouping matters.
        commutative: of a callable: order doesn't matter.
        associative: of a callable: grouping doesn't matter; by default as `commutative`.

    Raises:
        ValueError: no reduction has that name.
        TypeError: neither a name nor callable.
    """
    if isinstance(op, Op):
        return op
    if isinstance(op, str):
        if op not in BUILTIN:
            raise ValueError(f"no reduction is called {op!r}; there are {', '.join(BUILTIN)}")
        return BUILTIN[op]
    if not callable(op):
        raise TypeError(f"a reduction is a name or a callable, got {type(op).__name__}")
    name = getattr(op, "__name__", "user")
    grouping = commutative if associative is None else associative
    return Op(name, _USER_CODE, op, commutative, associative=grouping)
