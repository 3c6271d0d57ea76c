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
        ufunc: numpy's function that can write into its left operand, if there is one.
    """

    name: str
    code: int
    combine: Combine
    commutative: bool = True
    ufunc: np.ufunc | None = None

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
    )
}


def named(op: str | Op | Combine, *, commutative: bool = False) -> Op:
    """Return the reduction that `op` means.

    Args:
        op: a name (sum prod min max land lor lxor band bor bxor), an Op, or a callable
            (left, right) → array. A callable is taken in rank order, left to right,
            unless `commutative` says that order doesn't matter.

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
    return Op(getattr(op, "__name__", "user"), _USER_CODE, op, commutative)
