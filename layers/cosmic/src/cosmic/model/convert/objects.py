"""What the pickle of a checkpoint holds, on inert stand-ins.

A module that was saved whole names its classes, and a plain unpickler would import and call them.
Here a name stays a name: making an object, calling a function and setting a state are written down
on stand-ins, which the walk over them (`modules`) reads as data.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from cosmic.data.torch_pickle import (
    HOOKS,
    REBUILD,
    Machine,
    Name,
    Storage,
    StoredTensor,
    check_view,
    follow,
    stored_tensor,
)
from cosmic.data.torch_zip import LayoutError

MAX_PICKLE_BYTES = 1 << 20  # the published model's has 125 KB
OTHER = np.dtype("V1")  # a storage of numbers that no weight is made of
DTYPES = {
    "Float": "<f4",
    "Double": "<f8",
    "Half": "<f2",
    "Long": "<i8",
    "Int": "<i4",
    "Bool": "?",
}
STORAGES = {f"torch.{name}Storage": np.dtype(code) for name, code in DTYPES.items()}
PARAMETERS = (
    "torch._utils._rebuild_parameter",
    "torch._utils._rebuild_parameter_with_state",
)
KEYS = (str, int, float, type(None))


@dataclass
class Made:
    """Stands in for an object, by the dotted name of what would have made it.

    Attributes:
        state: Its attributes, if they were set by name.
    """

    kind: str
    arguments: Any
    state: dict[Any, Any] = field(default_factory=dict)


class Items(dict[Any, Any]):
    """Stands in for an OrderedDict."""


def read_objects(data: bytes) -> Any:
    """What the pickle of a checkpoint holds.

    Returns:
        `Made`, `StoredTensor`, `Name`, or plain containers, texts and numbers.

    Raises:
        LayoutError: it is broken, too large, or does what no saved module or state does.
    """
    return follow(data, _Machine(), MAX_PICKLE_BYTES)


class _Machine(Machine):
    """Takes any name, and notes what would be done with it."""

    storages: ClassVar = STORAGES

    def __init__(self) -> None:
        super().__init__()
        push = self._stack.append
        self._do |= {
            **dict.fromkeys(("BINFLOAT", "LONG4", "BINBYTES", "SHORT_BINBYTES"), push),
            "EMPTY_SET": lambda _: push([]),
            "ADDITEMS": lambda _: self._append(self._to_mark()),
            "FROZENSET": lambda _: push(self._to_mark()),
        }

    def _known(self, dotted: str) -> Name:
        return Name(dotted)

    def _set(self, pairs: list[Any]) -> None:
        keys = pairs[::2]
        if len(pairs) % 2 or not all(isinstance(k, KEYS) for k in keys):
            raise LayoutError("its pickle has a dictionary whose keys are neither text nor numbers")
        self._top(dict).update(zip(keys, pairs[1::2], strict=True))

    def _storage(self, identity: Any) -> Storage:
        """Storages of other numbers too: a weight of them is refused where it is asked for."""
        match identity:
            case ("storage", Name(dotted=name), str(key), str(), int()) if name not in STORAGES:
                return Storage(OTHER, key, 0)
        return super()._storage(identity)

    def _reduced(self, callee: Any, arguments: Any) -> Any:
        if not isinstance(callee, Name) or not isinstance(arguments, tuple):
            raise LayoutError("its pickle calls something that has no name")
        match callee.dotted, arguments:
            case name, (Storage(), _, tuple(), tuple(), *more) if name == REBUILD:
                check_view(more)
                return stored_tensor(*arguments[:4])
            case name, (StoredTensor() as tensor, *_) if name in PARAMETERS:
                return tensor
            case name, () if name == HOOKS:
                return Items()
            case name, (list(pairs),) if name == HOOKS:
                return _from_pairs(pairs)
        return Made(callee.dotted, arguments)

    def _new(self, kind: Any, arguments: Any) -> Any:
        if not isinstance(kind, Name) or not isinstance(arguments, tuple):
            raise LayoutError("its pickle makes an object of something that has no name")
        return Made(kind.dotted, arguments)

    def _build(self, state: Any) -> None:
        target = self._top(object)
        if isinstance(state, tuple) and len(state) == 2:  # attributes, and those in slots
            state = state[0]
        if isinstance(target, Made):
            target.state = state if isinstance(state, dict) else {}
        elif not isinstance(target, Items):
            raise LayoutError("its pickle sets the state of something that was not made there")


def _from_pairs(pairs: list[Any]) -> Items:
    made = Items()
    for pair in pairs:
        match pair:
            case [str(key), value] | (str(key), value):
                made[key] = value
            case _:
                raise LayoutError("its pickle has an OrderedDict that is not of pairs")
    return made
