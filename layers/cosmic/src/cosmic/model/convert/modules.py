"""From stand-ins to named tensors: a walk over `_modules`, `_parameters` and `_buffers`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from cosmic.data.torch_pickle import StoredTensor
from cosmic.data.torch_zip import LayoutError
from cosmic.model.convert.objects import Made

WRAPPERS = ("DataParallel", "DistributedDataParallel")
WRAPPED = "module."
STATES = ("state_dict", "model_state_dict", "model")  # where training scripts keep the weights
MAX_TENSORS = 20_000
MAX_MODULES = 20_000
MAX_DEPTH = 60
MAX_NAME = 200
MAX_SHOWN = 80


@dataclass(frozen=True)
class Found:
    """What a checkpoint holds.

    Attributes:
        tensors: By name, as in a state dict, without the prefix of a wrapper.
        modules: By name; empty for a state dict.
        kind: Dotted name of the module's class; `state_dict` for one.
        wrappers: Dotted names of what it was wrapped in, outermost first.
    """

    tensors: dict[str, StoredTensor]
    modules: dict[str, Made] = field(default_factory=dict)
    kind: str = "state_dict"
    wrappers: tuple[str, ...] = ()


def find_tensors(content: Any) -> Found:
    """The tensors of a module that was saved whole, or of a state dict.

    Raises:
        LayoutError: it is neither, or larger or deeper than a model is.
    """
    if isinstance(content, Made):
        return _of_module(content)
    if isinstance(content, dict):
        for key in STATES:
            if isinstance(content.get(key), dict | Made):
                return find_tensors(content[key])
        return _of_state(content)
    raise LayoutError(f"it holds one {type(content).__name__}, neither a module nor a state dict")


def _of_module(module: Made) -> Found:
    wrappers: list[str] = []
    while module.kind.rpartition(".")[2] in WRAPPERS and len(wrappers) < MAX_DEPTH:
        wrappers.append(module.kind)
        inner = _part(module, "_modules").get("module")
        if not isinstance(inner, Made):
            raise LayoutError(f"a {module.kind[:MAX_SHOWN]} with no module in it")
        module = inner
    if "_modules" not in module.state:
        raise LayoutError(f"it holds a {module.kind[:MAX_SHOWN]}, which is not a module")
    modules: dict[str, Made] = {}
    tensors: dict[str, StoredTensor] = {}
    for name, one in _walk(module):
        modules[name] = one
        for own, tensor in _own_tensors(one, name):
            tensors[_joined(name, own)] = tensor
        if len(tensors) > MAX_TENSORS:
            raise LayoutError(f"more than {MAX_TENSORS} tensors")
    return Found(tensors, modules, module.kind, tuple(wrappers))


def _walk(module: Made) -> Iterator[tuple[str, Made]]:
    """All modules with their names, the outermost first, a shared one under each of its names."""
    left: list[tuple[str, int, Made]] = [("", 0, module)]
    seen = 0
    while left:
        name, depth, one = left.pop()
        seen += 1
        if seen > MAX_MODULES or depth > MAX_DEPTH:
            raise LayoutError(f"more than {MAX_MODULES} modules, or more than {MAX_DEPTH} deep")
        yield name, one
        inner = [(k, m) for k, m in _part(one, "_modules").items() if m is not None]
        for key, child in reversed(inner):
            if not isinstance(child, Made):
                raise LayoutError(f"module {_joined(name, key)!r} is a {type(child).__name__}")
            left.append((_joined(name, key), depth + 1, child))


def _own_tensors(module: Made, where: str) -> Iterator[tuple[str, StoredTensor]]:
    passing = _names(module.state.get("_non_persistent_buffers_set"))
    for kind in ("_parameters", "_buffers"):
        for name, tensor in _part(module, kind).items():
            if tensor is None or (kind == "_buffers" and name in passing):
                continue
            if not isinstance(tensor, StoredTensor):
                what = tensor.kind if isinstance(tensor, Made) else type(tensor).__name__
                raise LayoutError(f"{_joined(where, name)} is a {what[:MAX_SHOWN]}, not a tensor")
            yield name, tensor


def _part(module: Made, name: str) -> dict[Any, Any]:
    part = module.state.get(name, {})
    if not isinstance(part, dict):
        raise LayoutError(f"the {name} of a {module.kind[:MAX_SHOWN]} are not a dictionary")
    return part


def _names(found: Any) -> list[Any]:
    """The members of a set, as a pickle makes one."""
    if isinstance(found, Made) and found.arguments and isinstance(found.arguments[0], list):
        return found.arguments[0]
    return found if isinstance(found, list) else []


def _joined(where: str, name: Any) -> str:
    if not isinstance(name, str) or not 0 < len(name) <= MAX_NAME:
        raise LayoutError(f"something in {where[:MAX_SHOWN]!r} has no proper name")
    return f"{where}.{name}" if where else name


def _of_state(content: Mapping[Any, Any]) -> Found:
    tensors = {_joined("", name): tensor for name, tensor in content.items()}
    if not tensors or len(tensors) > MAX_TENSORS:
        raise LayoutError(f"a dictionary of {len(tensors)} items, not a state dict")
    for name, tensor in tensors.items():
        if not isinstance(tensor, StoredTensor):
            raise LayoutError(f"{name[:MAX_SHOWN]!r} is a {type(tensor).__name__}, not a tensor")
    wrappers = 0
    while all(name.startswith(WRAPPED) for name in tensors):
        tensors = {name.removeprefix(WRAPPED): tensor for name, tensor in tensors.items()}
        wrappers += 1
    return Found(tensors, wrappers=(WRAPPED,) * wrappers)
