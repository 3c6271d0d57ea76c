"""AstroMAE run by OpenVINO."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import numpy as np

from cosmic.errors import InputError
from cosmic.model.architecture import AstroMAEConfig
from cosmic.model.checkpoint import Checkpoint, Weights
from cosmic.model.graph import LAYER_NORM_EPS, Array, Node, Operations, Values, astromae
from cosmic.model.runners.openvino_import import openvino, opset
from cosmic.model.runners.openvino_kept import keep, kept, place

PRECISIONS = {"float32": "f32", "bf16": "bf16"}
HUGE = np.full(1, 1e38, np.float32)


class OpenVinoRunner:
    """A model compiled for this processor and one batch size, each thread with a stream of its own.

    Attributes:
        streams: Batches that run at the same time.
    """

    def __init__(self, checkpoint: Checkpoint, rows: int, threads: int, precision: str) -> None:
        core = openvino.Core()
        properties = _properties(core, threads, precision)
        model, self._memory = _kept(core, checkpoint, rows, properties) or (
            _compiled(core, checkpoint, rows, properties),
            None,
        )
        self.streams = threads
        self._requests: SimpleQueue[openvino.InferRequest] = SimpleQueue()
        for _ in range(threads):
            self._requests.put(model.create_infer_request())

    def run(self, image: Array, mag: Array) -> Array:
        """Redshifts (N,) of exactly N objects that lack nothing."""
        request = self._requests.get()
        try:
            out: Array = request.infer([image, mag], share_inputs=True)[0][:, 0].copy()
        finally:
            self._requests.put(request)
        return out


def compiled(
    checkpoint: Checkpoint, rows: int, threads: int, precision: str, *, counters: bool = False
) -> openvino.CompiledModel:
    """The model compiled for this processor and a fixed number of rows.

    Args:
        checkpoint: What it is made of; its pages are given back.
        rows: Rows of every batch.
        threads: That may run it.
        precision: `float32` or `bf16`.
        counters: Have the library time each operation.

    Raises:
        InputError: The processor lacks the precision's arithmetic.
    """
    core = openvino.Core()
    properties = _properties(core, threads, precision) | {"PERF_COUNT": counters}
    return _compiled(core, checkpoint, rows, properties)


def keep_model(checkpoint: Checkpoint, rows: int, threads: int, folder: Path) -> None:
    """Compile the model in float32, and keep it for ranks on a processor like this one.

    Args:
        checkpoint: What it is made of.
        rows: Rows of every batch.
        threads: That may run it.
        folder: Where it is kept.
    """
    core = openvino.Core()
    properties = _properties(core, threads, "float32")
    path = place(folder, core, checkpoint.sha256, rows, properties)
    keep(_compiled(core, checkpoint, rows, properties), path)


def _properties(core: openvino.Core, threads: int, precision: str) -> dict[str, Any]:
    """What a model is compiled with."""
    check_precision(precision, core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"))
    return {
        "INFERENCE_PRECISION_HINT": PRECISIONS[precision],  # else some processors take bf16
        "INFERENCE_NUM_THREADS": threads,
        "NUM_STREAMS": threads,  # a batch is computed in one thread, and others beside it
        "ENABLE_CPU_PINNING": False,  # several ranks may share a machine
        "PERF_COUNT": False,
    }


def _compiled(
    core: openvino.Core, checkpoint: Checkpoint, rows: int, properties: dict[str, Any]
) -> openvino.CompiledModel:
    model = _model(checkpoint.config, checkpoint.state, rows)
    checkpoint.let_go()  # of weights that went into others
    return core.compile_model(model, "CPU", properties)


def _kept(
    core: openvino.Core, checkpoint: Checkpoint, rows: int, properties: dict[str, Any]
) -> tuple[openvino.CompiledModel, object] | None:
    """The model as the image has it compiled; None if it has none of this one for this place."""
    if checkpoint.compiled_in is None:
        return None
    path = place(checkpoint.compiled_in, core, checkpoint.sha256, rows, properties)
    return kept(core, path, properties)


def check_precision(precision: str, capabilities: Sequence[str]) -> None:
    """Refuse a precision that the processor would only imitate.

    Args:
        precision: `float32` or `bf16`.
        capabilities: What OpenVINO says of the processor.

    Raises:
        InputError: It lacks the arithmetic.
    """
    if precision == "bf16" and "BF16" not in capabilities:
        raise InputError(
            "this processor has no bf16 arithmetic (avx512_bf16 or amx_bf16)",
            code="no-precision",
            hint="leave inference.precision out, or use float32",
        )


def _model(c: AstroMAEConfig, weights: Weights, rows: int) -> openvino.Model:
    image = opset.parameter([rows, c.bands, c.image_size, c.image_size], np.float32)
    mag = opset.parameter([rows, c.bands], np.float32)
    z = astromae(_OpenVino(), c, weights, rows, image, mag)
    return openvino.Model([opset.result(z)], [image, mag], "astromae")


class _OpenVino(Operations):
    def constant(self, values: Values) -> Node:
        kept = np.ascontiguousarray(values, np.float32)
        return opset.constant(kept, shared_memory=kept.flags.writeable)  # else it is copied

    def linear(self, x: Node, weight: Values, bias: Values) -> Node:
        product = opset.matmul(x, self.constant(weight), False, True)
        return opset.add(product, self.constant(bias))

    def convolution(self, x: Node, weight: Values, bias: Values, groups: int = 1) -> Node:
        pad = [weight.shape[-1] // 2] * 2
        if groups == 1:
            y = opset.convolution(x, self.constant(weight), [1, 1], pad, pad, [1, 1])
        else:
            grouped = weight.reshape(groups, len(weight) // groups, *weight.shape[1:])
            y = opset.group_convolution(x, self.constant(grouped), [1, 1], pad, pad, [1, 1])
        return opset.add(y, self.constant(bias[None, :, None, None]))

    def layer_norm(self, x: Node, gain: Values, bias: Values) -> Node:
        y = opset.mvn(x, _indices(-1), True, LAYER_NORM_EPS, "inside_sqrt")
        return opset.add(opset.multiply(y, self.constant(gain)), self.constant(bias))

    def unary(self, name: str, x: Node) -> Node:
        if name == "softmax":
            return opset.softmax(x, -1)
        return {
            "relu": opset.relu,
            "gelu": lambda y: opset.gelu(y, "erf"),
            "silu": opset.swish,
            "asinh": self._asinh,
        }[name](x)

    def _asinh(self, x: Node) -> Node:
        """From vectorised parts, as the reference does it.

        The library computes a sign one number at a time; a huge multiple cut to -1 and 1 is the
        same for all but numbers so small that their asinh is 0.
        """
        root = opset.sqrt(opset.add(opset.multiply(x, x), self.constant(np.ones(1, np.float32))))
        sign = opset.clamp(opset.multiply(x, self.constant(HUGE)), -1.0, 1.0)
        return opset.multiply(sign, opset.log(opset.add(opset.abs(x), root)))

    def add(self, a: Node, b: Node) -> Node:
        return opset.add(a, b)

    def multiply(self, a: Node, b: Node) -> Node:
        return opset.multiply(a, b)

    def matmul(self, a: Node, b: Node, *, transpose_b: bool) -> Node:
        return opset.matmul(a, b, False, transpose_b)

    def reshape(self, x: Node, shape: Sequence[int]) -> Node:
        return opset.reshape(x, _indices(*shape), False)

    def transpose(self, x: Node, axes: Sequence[int]) -> Node:
        return opset.transpose(x, _indices(*axes))

    def concat(self, parts: Sequence[Node], axis: int) -> Node:
        return opset.concat(list(parts), axis)

    def part(self, x: Node, start: int, stop: int, axis: int) -> Node:
        return opset.slice(x, _indices(start), _indices(stop), _indices(1), _indices(axis))

    def mean(self, x: Node, axis: int) -> Node:
        return opset.reduce_mean(x, _indices(axis), False)

    def max_pool(self, x: Node) -> Node:
        return opset.max_pool(x, [1, 1], [1, 1], [1, 1], [1, 1], [3, 3]).output(0)

    def average_pool(self, x: Node) -> Node:
        return opset.avg_pool(x, [2, 2], [0, 0], [0, 0], [2, 2], True)


def _indices(*values: int) -> Node:
    return opset.constant(np.array(values, np.int64))
