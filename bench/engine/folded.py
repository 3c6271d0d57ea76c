"""Eager torch with weights folded beforehand: what the start of the engines is compared with.

`record` writes the model's fast description (`cosmic.model.graph`) to a file as a list of steps
and their constants; `FoldedTorch` maps the file and does the steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional as F  # noqa: N812

from cosmic.model.architecture import AstroMAEConfig
from cosmic.model.checkpoint import Weights
from cosmic.model.graph import LAYER_NORM_EPS, Node, Operations, Values, astromae

STEPS: dict[str, Any] = {
    "linear": F.linear,
    "convolution": lambda x, w, b, groups: F.conv2d(
        x, w, b, padding=w.shape[-1] // 2, groups=groups
    ),
    "layer_norm": lambda x, w, b: F.layer_norm(x, w.shape, w, b, LAYER_NORM_EPS),
    "relu": torch.relu,
    "gelu": F.gelu,
    "silu": F.silu,
    "softmax": lambda x: torch.softmax(x, -1),
    "asinh": lambda x: torch.sign(x) * torch.log(torch.abs(x) + torch.sqrt(x * x + 1)),
    "add": torch.add,
    "multiply": torch.mul,
    "matmul": lambda a, b, swap: a @ (b.transpose(-1, -2) if swap else b),
    "reshape": torch.reshape,
    "transpose": torch.permute,
    "concat": lambda axis, *parts: torch.cat(parts, axis),
    "part": lambda x, start, stop, axis: x.narrow(axis, start, stop - start),
    "mean": lambda x, axis: x.mean(axis),
    "max_pool": lambda x: F.max_pool2d(x, 3, 1, 1),
    "average_pool": lambda x: F.avg_pool2d(x, 2),
}


class FoldedTorch:
    """Does the recorded steps, one after the other."""

    def __init__(self, path: Path, threads: int) -> None:
        torch.set_num_threads(threads)
        found = torch.load(path, mmap=True)
        self.rows, self.steps, self.constants = found["rows"], found["steps"], found["constants"]

    def run(self, image: torch.Tensor, mag: torch.Tensor) -> torch.Tensor:
        """Redshifts (N,) of all objects; N may be any number, the last batch is filled up."""
        parts = []
        for at in range(0, len(image), self.rows):
            batch = [x[at : at + self.rows] for x in (image, mag)]
            lack = self.rows - len(batch[0])
            filled = [torch.cat([x, x.new_zeros(lack, *x.shape[1:])]) if lack else x for x in batch]
            parts.append(self._batch(*filled)[: len(batch[0])])
        return torch.cat(parts)

    def _batch(self, image: torch.Tensor, mag: torch.Tensor) -> torch.Tensor:
        values = {"image": image.contiguous(memory_format=torch.channels_last), "mag": mag}
        with torch.inference_mode():
            for name, (step, arguments, last_used) in self.steps.items():
                values[name] = STEPS[step](*(self._value(values, one) for one in arguments))
                for used in last_used:
                    del values[used]
        return values[name][:, 0]

    def _value(self, values: dict[str, torch.Tensor], argument: Any) -> Any:
        if isinstance(argument, str):
            return self.constants[argument] if argument in self.constants else values[argument]
        return argument


def record(path: Path, c: AstroMAEConfig, weights: Weights, rows: int) -> None:
    """Write the steps of a model for batches of this many rows."""
    steps = _Recorder()
    astromae(steps, c, weights, rows, "image", "mag")
    torch.save({"rows": rows, "steps": _with_last_uses(steps), "constants": steps.constants}, path)


def _with_last_uses(recorder: _Recorder) -> dict[str, Any]:
    """Each step with the values that no later one needs."""
    last = {one: name for name, (_, arguments) in recorder.steps.items() for one in arguments
            if isinstance(one, str) and one not in recorder.constants}  # fmt: skip
    return {
        name: (step, arguments, [one for one, at in last.items() if at == name])
        for name, (step, arguments) in recorder.steps.items()
    }


class _Recorder(Operations):
    def __init__(self) -> None:
        self.steps: dict[str, tuple[str, tuple[Any, ...]]] = {}
        self.constants: dict[str, torch.Tensor] = {}

    def _step(self, step: str, *arguments: Any) -> Node:
        name = f"n{len(self.steps)}"
        self.steps[name] = (step, arguments)
        return name

    def constant(self, values: Values) -> Node:
        name = f"w{len(self.constants)}"
        kept = torch.tensor(values, dtype=torch.float32)
        if kept.ndim == 4:
            kept = kept.contiguous(memory_format=torch.channels_last)
        self.constants[name] = kept
        return name

    def linear(self, x: Node, weight: Values, bias: Values) -> Node:
        return self._step("linear", x, self.constant(weight), self.constant(bias))

    def convolution(self, x: Node, weight: Values, bias: Values, groups: int = 1) -> Node:
        return self._step("convolution", x, self.constant(weight), self.constant(bias), groups)

    def layer_norm(self, x: Node, gain: Values, bias: Values) -> Node:
        return self._step("layer_norm", x, self.constant(gain), self.constant(bias))

    def unary(self, name: str, x: Node) -> Node:
        return self._step(name, x)

    def add(self, a: Node, b: Node) -> Node:
        return self._step("add", a, b)

    def multiply(self, a: Node, b: Node) -> Node:
        return self._step("multiply", a, b)

    def matmul(self, a: Node, b: Node, *, transpose_b: bool) -> Node:
        return self._step("matmul", a, b, transpose_b)

    def reshape(self, x: Node, shape: Sequence[int]) -> Node:
        return self._step("reshape", x, tuple(shape))

    def transpose(self, x: Node, axes: Sequence[int]) -> Node:
        return self._step("transpose", x, tuple(axes))

    def concat(self, parts: Sequence[Node], axis: int) -> Node:
        return self._step("concat", axis, *parts)

    def part(self, x: Node, start: int, stop: int, axis: int) -> Node:
        return self._step("part", x, start, stop, axis)

    def mean(self, x: Node, axis: int) -> Node:
        return self._step("mean", x, axis)

    def max_pool(self, x: Node) -> Node:
        return self._step("max_pool", x)

    def average_pool(self, x: Node) -> Node:
        return self._step("average_pool", x)
