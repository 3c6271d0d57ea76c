"""AstroMAE run by ONNX Runtime."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnxruntime
from onnx import TensorProto, helper

from cosmic.errors import InputError
from cosmic.model.architecture import AstroMAEConfig
from cosmic.model.checkpoint import Checkpoint, Weights
from cosmic.model.graph import LAYER_NORM_EPS, Array, Node, Operations, Values, astromae

OPSET, IR = 21, 10


class OnnxRunner:
    """A session on this processor for one batch size, which runs in the threads that call it.

    Attributes:
        streams: Batches that run at the same time.
    """

    def __init__(self, checkpoint: Checkpoint, rows: int, threads: int, precision: str) -> None:
        if precision != "float32":
            raise InputError(
                f"onnxruntime does not compute in {precision}",
                code="no-precision",
                hint="use inference.engine openvino, or float32",
            )
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1  # a batch is computed in one thread
        options.inter_op_num_threads = 1
        self.streams = threads
        options.log_severity_level = 3
        model, self._values = _model(checkpoint.config, checkpoint.state, rows)
        options.add_external_initializers(list(self._values), list(self._values.values()))
        self._session = onnxruntime.InferenceSession(model, options, ["CPUExecutionProvider"])

    def run(self, image: Array, mag: Array) -> Array:
        """Redshifts (N,) of exactly N objects that lack nothing."""
        (z,) = self._session.run(["z"], {"image": image, "mag": mag})
        out: Array = z[:, 0].copy()
        return out


def _model(c: AstroMAEConfig, weights: Weights, rows: int) -> tuple[bytes, dict[str, Any]]:
    """The graph, serialised, and its large constants, which stay outside of it."""
    ops = _Onnx()
    z = astromae(ops, c, weights, rows, "image", "mag")
    ops.nodes.append(helper.make_node("Identity", [z], ["z"]))
    image = [rows, c.bands, c.image_size, c.image_size]
    graph = helper.make_graph(
        ops.nodes,
        "astromae",
        [
            helper.make_tensor_value_info("image", TensorProto.FLOAT, image),
            helper.make_tensor_value_info("mag", TensorProto.FLOAT, [rows, c.bands]),
        ],
        [helper.make_tensor_value_info("z", TensorProto.FLOAT, [rows, 1])],
        ops.initializers,
    )
    opset = [helper.make_opsetid("", OPSET)]
    model = helper.make_model(graph, opset_imports=opset, ir_version=IR)
    return model.SerializeToString(), ops.outside


class _Onnx(Operations):
    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.initializers: list[Any] = []
        self.outside: dict[str, Any] = {}

    def _node(self, kind: str, *inputs: Node, **attributes: Any) -> Node:
        name = f"n{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name], **attributes))
        return name

    def _indices(self, values: Sequence[int]) -> Node:
        name = f"i{len(self.initializers)}"
        shape = [len(values)]
        self.initializers.append(helper.make_tensor(name, TensorProto.INT64, shape, list(values)))
        return name

    def constant(self, values: Values) -> Node:
        name = f"w{len(self.initializers)}"
        kept = np.ascontiguousarray(values, np.float32)
        if kept.size < 256:  # the library needs small ones to simplify the graph
            tensor = helper.make_tensor(
                name, TensorProto.FLOAT, kept.shape, kept.tobytes(), raw=True
            )
        else:
            tensor = TensorProto(name=name, data_type=TensorProto.FLOAT, dims=kept.shape)
            tensor.data_location = TensorProto.EXTERNAL
            tensor.external_data.add(key="location", value="checkpoint")
            self.outside[name] = onnxruntime.OrtValue.ortvalue_from_numpy(kept)
        self.initializers.append(tensor)
        return name

    def linear(self, x: Node, weight: Values, bias: Values) -> Node:
        return self._node("Gemm", x, self.constant(weight), self.constant(bias), transB=1)

    def convolution(self, x: Node, weight: Values, bias: Values, groups: int = 1) -> Node:
        pads = [weight.shape[-1] // 2] * 4
        inputs = (x, self.constant(weight), self.constant(bias))
        return self._node("Conv", *inputs, group=groups, pads=pads)

    def layer_norm(self, x: Node, gain: Values, bias: Values) -> Node:
        inputs = (x, self.constant(gain), self.constant(bias))
        return self._node("LayerNormalization", *inputs, axis=-1, epsilon=LAYER_NORM_EPS)

    def unary(self, name: str, x: Node) -> Node:
        if name == "silu":
            return self._node("Mul", x, self._node("Sigmoid", x))
        if name == "asinh":
            return self._asinh(x)
        return self._node({"relu": "Relu", "gelu": "Gelu", "softmax": "Softmax"}[name], x)

    def _asinh(self, x: Node) -> Node:
        """From vectorised parts, as the reference does it."""
        one = self.constant(np.ones(1, np.float32))
        root = self._node("Sqrt", self.add(self.multiply(x, x), one))
        size = self._node("Log", self.add(self._node("Abs", x), root))
        return self.multiply(self._node("Sign", x), size)

    def add(self, a: Node, b: Node) -> Node:
        return self._node("Add", a, b)

    def multiply(self, a: Node, b: Node) -> Node:
        return self._node("Mul", a, b)

    def matmul(self, a: Node, b: Node, *, transpose_b: bool) -> Node:
        return self._node("MatMul", a, self.transpose(b, (0, 1, 3, 2)) if transpose_b else b)

    def reshape(self, x: Node, shape: Sequence[int]) -> Node:
        return self._node("Reshape", x, self._indices(shape))

    def transpose(self, x: Node, axes: Sequence[int]) -> Node:
        return self._node("Transpose", x, perm=list(axes))

    def concat(self, parts: Sequence[Node], axis: int) -> Node:
        return self._node("Concat", *parts, axis=axis)

    def part(self, x: Node, start: int, stop: int, axis: int) -> Node:
        bounds = (self._indices(one) for one in ([start], [stop], [axis]))
        return self._node("Slice", x, *bounds)

    def mean(self, x: Node, axis: int) -> Node:
        return self._node("ReduceMean", x, self._indices([axis]), keepdims=0)

    def max_pool(self, x: Node) -> Node:
        return self._node("MaxPool", x, kernel_shape=[3, 3], pads=[1, 1, 1, 1])

    def average_pool(self, x: Node) -> Node:
        return self._node("AveragePool", x, kernel_shape=[2, 2], strides=[2, 2])
