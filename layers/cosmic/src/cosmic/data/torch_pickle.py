"""What the pickle in a `torch.save` file says of its tensors, found without unpickling.

The few instructions that describe tensors in plain containers are followed here one by one, on
inert stand-ins; no name is ever looked up, nothing is imported, nothing is called. Any other
instruction or name is refused.
"""

from __future__ import annotations

import pickletools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from cosmic.data.torch_zip import LayoutError

MAX_PICKLE_BYTES = 64 << 10
MAX_SHOWN = 80
STORAGES: dict[str, np.dtype[Any]] = {
    "torch.FloatStorage": np.dtype("<f4"),
    "torch.DoubleStorage": np.dtype("<f8"),
}
REBUILD = "torch._utils._rebuild_tensor_v2"
GRADIENT_AND_HOOKS = 2
HOOKS = "collections.OrderedDict"
DATASETS = ("torch.utils.data.dataset.TensorDataset", "torch.utils.data.TensorDataset")
MAX_NUMBER = 1 << 62
MARK = object()


@dataclass(frozen=True)
class Name:
    """The dotted name of something that a pickle asks for; never looked up."""

    dotted: str


@dataclass(frozen=True)
class Storage:
    """Elements of one dtype in the member `data/<key>`."""

    dtype: np.dtype[Any]
    key: str
    elements: int


@dataclass(frozen=True)
class StoredTensor:
    """A view of a storage; offset and strides in elements, whether it fits is not checked."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]


@dataclass
class Dataset:
    """Stands in for a TensorDataset."""

    tensors: Any = None


def read_pickle(data: bytes) -> Any:
    """What the pickle of a partition holds, with stand-ins for tensors.

    Returns:
        `StoredTensor`, `Dataset`, or plain containers, texts and numbers.

    Raises:
        LayoutError: it holds anything else; the message names it.
    """
    return follow(data, Machine(), MAX_PICKLE_BYTES)


def follow(data: bytes, machine: Machine, most: int) -> Any:
    """What is on a machine's stack where the pickle stops.

    Raises:
        LayoutError: it has more than `most` bytes, is broken, or holds what the machine refuses.
    """
    if len(data) > most:
        raise LayoutError(f"its pickle has {len(data)} bytes, at most {most} are read")
    try:
        for opcode, argument, _ in pickletools.genops(data):
            if opcode.name == "STOP":
                return machine.pop()
            machine.do(opcode.name, argument)
    except LayoutError:
        raise
    except ValueError as error:
        raise LayoutError(f"its pickle is broken: {error}") from error
    raise LayoutError("its pickle has no end")


class Machine:
    """The stack and the memo of a pickle; what it may hold beside containers is a partition's."""

    storages: ClassVar[Mapping[str, np.dtype[Any]]] = STORAGES

    def __init__(self) -> None:
        self._stack: list[Any] = []
        self._memo: dict[int, Any] = {}
        push = self._stack.append
        self._do: dict[str, Callable[[Any], None]] = {
            **dict.fromkeys(("PROTO", "FRAME"), lambda _: None),
            **dict.fromkeys(("BININT", "BININT1", "BININT2", "LONG1"), push),
            **dict.fromkeys(("BINUNICODE", "SHORT_BINUNICODE"), push),
            "NONE": lambda _: push(None),
            "NEWTRUE": lambda _: push(True),
            "NEWFALSE": lambda _: push(False),
            "MARK": lambda _: push(MARK),
            "EMPTY_TUPLE": lambda _: push(()),
            "EMPTY_LIST": lambda _: push([]),
            "EMPTY_DICT": lambda _: push({}),
            "TUPLE": lambda _: push(tuple(self._to_mark())),
            "TUPLE1": lambda _: push(tuple(self._pops(1))),
            "TUPLE2": lambda _: push(tuple(self._pops(2))),
            "TUPLE3": lambda _: push(tuple(self._pops(3))),
            "APPEND": lambda _: self._append(self._pops(1)),
            "APPENDS": lambda _: self._append(self._to_mark()),
            "SETITEM": lambda _: self._set(self._pops(2)),
            "SETITEMS": lambda _: self._set(self._to_mark()),
            **dict.fromkeys(("BINPUT", "LONG_BINPUT"), self._remember),
            "MEMOIZE": lambda _: self._remember(len(self._memo)),
            **dict.fromkeys(("BINGET", "LONG_BINGET"), self._recall),
            "GLOBAL": lambda text: self._name(*text.split(" ", 1)),
            "STACK_GLOBAL": lambda _: self._name(*self._pops(2)),
            "BINPERSID": lambda _: push(self._storage(self.pop())),
            "REDUCE": lambda _: push(self._reduced(*self._pops(2))),
            "NEWOBJ": lambda _: push(self._new(*self._pops(2))),
            "BUILD": lambda _: self._build(self.pop()),
        }

    def do(self, instruction: str, argument: Any) -> None:
        """Do one instruction."""
        if instruction not in self._do:
            raise LayoutError(f"its pickle has the instruction {instruction}")
        self._do[instruction](argument)

    def pop(self) -> Any:
        """Take the top of the stack."""
        return self._pops(1)[0]

    def _pops(self, n: int) -> list[Any]:
        taken = self._stack[-n:]
        if len(taken) < n or MARK in taken:
            raise LayoutError("its pickle is broken: nothing on the stack")
        del self._stack[-n:]
        return taken

    def _to_mark(self) -> list[Any]:
        for at in range(len(self._stack) - 1, -1, -1):
            if self._stack[at] is MARK:
                taken = self._stack[at + 1 :]
                del self._stack[at:]
                return taken
        raise LayoutError("its pickle is broken: no mark on the stack")

    def _top(self, kind: type[Any]) -> Any:
        if not self._stack or not isinstance(self._stack[-1], kind):
            raise LayoutError(f"its pickle is broken: no {kind.__name__} to add to")
        return self._stack[-1]

    def _append(self, values: list[Any]) -> None:
        self._top(list).extend(values)

    def _set(self, pairs: list[Any]) -> None:
        keys = pairs[::2]
        if len(pairs) % 2 or not all(isinstance(k, str) for k in keys):
            raise LayoutError("its pickle has a dictionary whose keys are not text")
        self._top(dict).update(zip(keys, pairs[1::2], strict=True))

    def _remember(self, index: int) -> None:
        self._memo[index] = self._top(object)

    def _recall(self, index: int) -> None:
        if index not in self._memo:
            raise LayoutError("its pickle is broken: nothing remembered")
        self._stack.append(self._memo[index])

    def _name(self, module: Any, name: Any) -> None:
        if not isinstance(module, str) or not isinstance(name, str):
            raise LayoutError("its pickle asks for something by other than a name")
        self._stack.append(self._known(f"{module}.{name}"))

    def _known(self, dotted: str) -> Name:
        if dotted not in (*self.storages, REBUILD, HOOKS, *DATASETS):
            raise LayoutError(f"its pickle asks for {dotted[:MAX_SHOWN]}, which no partition needs")
        return Name(dotted)

    def _build(self, state: Any) -> None:
        dataset = self._top(Dataset)
        if not isinstance(state, dict) or set(state) != {"tensors"}:
            raise LayoutError("its TensorDataset holds more than tensors")
        dataset.tensors = state["tensors"]

    def _storage(self, identity: Any) -> Storage:
        match identity:
            case ("storage", Name(dotted=name), str(key), str(), elements):
                if name in self.storages:
                    return Storage(self.storages[name], key, *_whole_numbers(elements))
        raise LayoutError("its pickle refers to something that is not a storage")

    def _reduced(self, callee: Any, arguments: Any) -> Any:
        match callee, arguments:
            case Name(dotted=name), () if name == HOOKS:
                return None
            case Name(dotted=name), (Storage(), _, tuple(), tuple(), *more) if name == REBUILD:
                check_view(more)
                return stored_tensor(*arguments[:4])
        raise LayoutError("its pickle calls something with unexpected arguments")

    def _new(self, kind: Any, arguments: Any) -> Any:
        if isinstance(kind, Name) and kind.dotted in DATASETS and arguments == ():
            return Dataset()
        raise LayoutError("its pickle makes an object that is not a TensorDataset")


def check_view(more: list[Any]) -> None:
    """Refuse what says that the values are others than those stored: negated, conjugated, ….

    Args:
        more: `requires_grad`, hooks, and such properties if there are any.

    Raises:
        LayoutError: it says so.
    """
    properties = more[GRADIENT_AND_HOOKS:]
    if any(properties):
        said = properties[0]
        names = ", ".join(map(str, said))[:MAX_SHOWN] if isinstance(said, dict) else "unknown ones"
        raise LayoutError(f"a tensor has properties of its own ({names}); save its clone()")


def stored_tensor(
    storage: Storage, offset: Any, shape: tuple[Any, ...], stride: tuple[Any, ...]
) -> StoredTensor:
    """A tensor by its measures.

    Raises:
        LayoutError: they are no whole numbers.
    """
    (offset,) = _whole_numbers(offset)
    return StoredTensor(storage, offset, _whole_numbers(*shape), _whole_numbers(*stride))


def _whole_numbers(*values: Any) -> tuple[int, ...]:
    if not all(type(v) is int and 0 <= v < MAX_NUMBER for v in values):
        raise LayoutError("its pickle measures a tensor in other than whole numbers")
    return values
