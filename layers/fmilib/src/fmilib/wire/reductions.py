"""Reductions: numpy's own element-wise functions, by name, and any callable.

Python integers are reduced as int64 and wrap as numpy's do. What a reduction gives has the dtype
and shape of what it was given: `Op.into` and `Op.before`, through which every algorithm goes,
refuse anything else, and `Op.check` says beforehand what numpy's functions would give.
"""

from __future__ import annotations

import builtins
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fmilib.wire.arrays import FIRST_REGISTERED, check_plain

Array = npt.NDArray[Any]
Combine = Callable[[Array, Array], Array]
_USER_CODE = 255


@dataclass(frozen=True, slots=True, eq=False)
class Op:
    """One reduction; it is equal to itself alone, whatever others are called.

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
        """Set `target` to `target ∘ right`, in place.

        Raises:
            TypeError: a function gave something of another dtype or shape.
        """
        if self.ufunc is not None:
            self.ufunc(target, right, out=target, casting="unsafe")
        else:
            target[...] = self._fitting(self.combine(target, right), target)

    def before(self, left: Array, target: Array) -> None:
        """Set `target` to `left ∘ target`, in place; `left` stays as it is.

        Raises:
            TypeError: a function gave something of another dtype or shape.
        """
        if self.ufunc is not None:
            self.ufunc(left, target, out=target, casting="unsafe")
        else:  # a copy: functions may work in place, as in MPI
            target[...] = self._fitting(self.combine(left.copy(), target), target)

    def counted(self, dtype: np.dtype[Any]) -> np.dtype[Any]:
        """Return the dtype in which arrays of `dtype` are reduced: sum and prod count booleans."""
        if dtype.kind != "b":
            return dtype
        counts = self.name in _COUNTING and self is BUILTIN[self.name]
        return np.dtype(np.int64) if counts else dtype

    def check(self, dtype: np.dtype[Any]) -> None:
        """Find out, as far as that can be known, whether the reduction takes a dtype.

        Raises:
            TypeError: it isn't defined, or its result wouldn't fit its operands.
        """
        if self.ufunc is None:
            if self is BUILTIN.get(self.name):
                _fields(dtype)
            return
        nothing = np.empty(0, dtype)
        found = self.ufunc(nothing, nothing).dtype
        truth = found == np.bool_ and (dtype.kind in "biufc" or dtype.num >= FIRST_REGISTERED)
        if not truth and not np.can_cast(found, dtype, "equiv"):
            raise TypeError(f"{self.name} of {dtype} gives {found}: it can't be reduced")

    def _fitting(self, result: Any, target: Array) -> Array:
        """Return a function's result if it can stand in its operand's place as it is."""
        found: Array = np.asanyarray(result)
        check_plain(found)
        same_kind = np.can_cast(found.dtype, target.dtype, "equiv")  # but for the byte order
        if found.shape != target.shape or not same_kind:
            raise TypeError(
                f"the reduction {self.name} gave {found.dtype} of shape {found.shape} for operands "
                f"of {target.dtype}, shape {target.shape}: it must keep their dtype and shape"
            )
        return found


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
    best = right.copy()
    np.copyto(best, left, where=take_left)
    return best


def _fields(dtype: np.dtype[Any]) -> tuple[str, str]:
    if dtype.names is None or len(dtype.names) != 2:
        raise TypeError(f"minloc and maxloc take two fields, see fmilib.pairs; got {dtype}")
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

_COUNTING = frozenset({"sum", "prod"})
_PYTHONS_OWN: dict[str, object] = {"sum": builtins.sum, "min": builtins.min, "max": builtins.max}


def named(
    op: str | Op | Combine, *, commutative: bool = False, associative: bool | None = None
) -> Op:
    """Return the reduction that `op` means.

    Args:
        op: a name (sum prod min max land lor lxor band bor bxor minloc maxloc), an Op, or a
            callable (left, right) → array of their dtype and shape. A callable is taken in rank
            order, left to right, unless neither order nor grouping matters. Python's own sum,
            min and max mean the reductions; whatever else a function is called, it is called.
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
    for meant, own in _PYTHONS_OWN.items():
        if op is own:
            return BUILTIN[meant]
    name = getattr(op, "__name__", "user")
    grouping = commutative if associative is None else associative
    return Op(name, _USER_CODE, op, commutative, associative=grouping)
