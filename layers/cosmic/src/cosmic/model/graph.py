"""AstroMAE written down for an inference library: the same weights in fewer and larger steps.

`astromae.py` is the reference; against it, batch normalisation is folded into the convolution
before it, queries, keys and values come of one product that already holds their scale, patches are
cut by moving axes instead of by a convolution, tokens are rows of one matrix, the last layer of
each branch is multiplied into the first of the head (nothing lies between), images are halved
before the Inception branch's first convolution (both are linear), which is multiplied into the
layers behind it (but the one behind a maximum), paths that are halved are halved before they are
joined, groups of few channels are joined to groups of a vector's width, and all shapes are fixed.
A library is what implements `Operations`; nothing here imports one.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cosmic.model.architecture import AstroMAEConfig
from cosmic.model.checkpoint import Weights

LAYER_NORM_EPS = 1e-6
BATCH_NORM_EPS = 1e-5
GROUP_CHANNELS = 16  # float32 in a vector of 512 bits
INCEPTION = "inception_model.vis_inception."

Array = NDArray[np.float32]
Values = NDArray[np.floating[Any]]  # become float32 in a graph
Affine = tuple[Values, Values]  # weight and bias
Node = Any  # a value in a library's graph


class Operations(ABC):
    """What a library has to offer. Images are (N, C, H, W), matrices have a row a token."""

    @abstractmethod
    def constant(self, values: Values) -> Node:
        """A value that never changes; the array is kept, not copied, where possible."""

    @abstractmethod
    def linear(self, x: Node, weight: Values, bias: Values) -> Node:
        """x (M, I) times weight (O, I) transposed, plus bias (O,)."""

    @abstractmethod
    def convolution(self, x: Node, weight: Values, bias: Values, groups: int = 1) -> Node:
        """Convolution with stride 1 that keeps the size; weight (O, I / groups, K, K)."""

    @abstractmethod
    def layer_norm(self, x: Node, gain: Values, bias: Values) -> Node:
        """Layer normalisation over the last axis."""

    @abstractmethod
    def unary(self, name: str, x: Node) -> Node:
        """`relu`, `gelu` (exact), `silu`, `softmax` (over the last axis) or `asinh`."""

    @abstractmethod
    def add(self, a: Node, b: Node) -> Node:
        """Sum, broadcast as numpy does."""

    @abstractmethod
    def multiply(self, a: Node, b: Node) -> Node:
        """Product, broadcast as numpy does."""

    @abstractmethod
    def matmul(self, a: Node, b: Node, *, transpose_b: bool) -> Node:
        """Product of the last two axes."""

    @abstractmethod
    def reshape(self, x: Node, shape: Sequence[int]) -> Node:
        """The same values in another shape."""

    @abstractmethod
    def transpose(self, x: Node, axes: Sequence[int]) -> Node:
        """The axes in another order."""

    @abstractmethod
    def concat(self, parts: Sequence[Node], axis: int) -> Node:
        """Joined along an axis."""

    @abstractmethod
    def part(self, x: Node, start: int, stop: int, axis: int) -> Node:
        """From `start` up to and without `stop` along an axis."""

    @abstractmethod
    def mean(self, x: Node, axis: int) -> Node:
        """The mean over an axis, which disappears."""

    @abstractmethod
    def max_pool(self, x: Node) -> Node:
        """Largest of 3x3 pixels, stride 1, same size."""

    @abstractmethod
    def average_pool(self, x: Node) -> Node:
        """Mean of 2x2 pixels, stride 2."""


def astromae(
    ops: Operations, c: AstroMAEConfig, weights: Weights, rows: int, image: Node, mag: Node
) -> Node:
    """Write the model down.

    Args:
        ops: The library.
        c: The architecture.
        weights: The model's tensors, by the names of the reference.
        rows: Of a batch, N.
        image: (N, bands, H, W) nanomaggies, all finite.
        mag: (N, bands) magnitudes, all finite.

    Returns:
        (N, 1) redshifts.
    """
    return _AstroMAE(ops, c, weights, rows).redshift(image, mag)


class _AstroMAE:
    def __init__(self, ops: Operations, c: AstroMAEConfig, w: Weights, rows: int) -> None:
        self.ops, self.c, self.w, self.rows = ops, c, w, rows
        self.patches = c.grid**2
        self.tokens = 1 + self.patches
        self.inception_end = c.inception_places[-1] + 2  # its first linear layer

    def redshift(self, image: Node, mag: Node) -> Node:
        ops, w = self.ops, self.w
        pixels = self.pixels(image)
        seen = self.transformer(pixels)
        shape = self.inception(pixels)
        colour = self.magnitudes(mag)
        z = ops.unary("relu", ops.linear(ops.concat([seen, shape, colour], 1), *self.joined()))
        scale = w["z_scale"]
        weight = w["concat_block.2.weight"] * scale
        return ops.linear(z, weight, w["concat_block.2.bias"] * scale + w["z_shift"])

    def joined(self) -> tuple[Values, Values]:
        """Weight and bias of the head's first layer times the last layers of the branches."""
        w = self.w
        weight, bias = w["concat_block.0.weight"], w["concat_block.0.bias"]
        last = (
            "vit_block.2",
            f"{INCEPTION}{self.inception_end + 2}",
            "inception_model.magnitude_block.8",
        )
        ends = np.cumsum([len(w[name + ".bias"]) for name in last])
        parts = np.split(weight, ends[:-1], axis=1)
        weights = [part @ w[name + ".weight"] for part, name in zip(parts, last, strict=True)]
        biases = [part @ w[name + ".bias"] for part, name in zip(parts, last, strict=True)]
        return np.concatenate(weights, axis=1), bias + sum(biases)

    def pixels(self, image: Node) -> Node:
        ops, w = self.ops, self.w
        scale = 1 / w["normalise.image_scale"][:, None, None]
        soft = 1 / w["normalise.softening"][:, None, None]
        if w["normalise.stretch"][0] > 0:
            image = ops.unary("asinh", ops.multiply(image, ops.constant(soft)))
            return ops.multiply(image, ops.constant(scale))
        return ops.multiply(image, ops.constant(scale * soft))

    def transformer(self, pixels: Node) -> Node:
        ops, c, w = self.ops, self.c, self.w
        n, t, d = self.rows, self.tokens, c.embed_dim
        x = ops.reshape(self.embedded(pixels), (n, self.patches, d))
        x = ops.add(x, ops.constant(w["pos_embed"][:, 1:]))
        first = w["cls_token"] + w["pos_embed"][:, :1]
        x = ops.concat([ops.constant(np.repeat(first, n, axis=0)), x], 1)
        x = ops.reshape(x, (n * t, d))
        for i in range(c.depth):
            x = self.block(x, f"blocks.{i}.")
        x = ops.mean(ops.part(ops.reshape(x, (n, t, d)), 1, t, axis=1), axis=1)
        x = self.linear(self.norm(x, "fc_norm"), "head")
        return self.dense(x, "vit_block.", (0,))

    def embedded(self, pixels: Node) -> Node:
        """Tokens of the patches (N * G * G, D)."""
        ops, c, w = self.ops, self.c, self.w
        n, g, p = self.rows, c.grid, c.patch_size
        x = ops.reshape(pixels, (n, c.bands, g, p, g, p))
        x = ops.reshape(ops.transpose(x, (0, 2, 4, 1, 3, 5)), (n * g * g, c.bands * p * p))
        weight = w["patch_embed.proj.weight"].reshape(c.embed_dim, -1)
        return ops.linear(x, weight, w["patch_embed.proj.bias"])

    def block(self, x: Node, name: str) -> Node:
        ops = self.ops
        x = ops.add(
            ops.add(x, self.attention(self.norm(x, name + "norm1"), name)), self.local(x, name)
        )
        hidden = ops.unary("gelu", self.linear(self.norm(x, name + "norm2"), name + "mlp.fc1"))
        return ops.add(x, self.linear(hidden, name + "mlp.fc2"))

    def attention(self, x: Node, name: str) -> Node:
        ops, c, w = self.ops, self.c, self.w
        n, t, d, width = self.rows, self.tokens, c.embed_dim, c.embed_dim // c.heads
        q_bias, v_bias = w[name + "attn.q_bias"], w[name + "attn.v_bias"]
        bias = np.concatenate([q_bias, np.zeros_like(q_bias), v_bias])
        scale = np.ones(3 * d, np.float32)
        scale[:d] = width**-0.5  # of queries
        qkv = ops.linear(x, w[name + "attn.qkv.weight"] * scale[:, None], bias * scale)
        qkv = ops.transpose(ops.reshape(qkv, (n, t, 3 * c.heads, width)), (0, 2, 1, 3))
        q, k, v = (ops.part(qkv, i * c.heads, (i + 1) * c.heads, axis=1) for i in range(3))
        seen = ops.unary("softmax", ops.matmul(q, k, transpose_b=True))  # N, heads, T, T
        out = ops.transpose(ops.matmul(seen, v, transpose_b=False), (0, 2, 1, 3))
        return self.linear(ops.reshape(out, (n * t, d)), name + "attn.proj")

    def local(self, x: Node, name: str) -> Node:
        """The convolution branch of all patches; nothing for the class token."""
        ops, c, w = self.ops, self.c, self.w
        n, t, d, g = self.rows, self.tokens, c.embed_dim, c.grid
        x = ops.part(ops.reshape(x, (n, t, d)), 1, t, axis=1)
        x = ops.reshape(ops.transpose(x, (0, 2, 1)), (n, d, g, g))
        weight, bias = self.folded(name + "PCM.0", name + "PCM.1")
        x = ops.unary("silu", ops.convolution(x, *wider(weight, c.conv_groups, bias)))
        weight, bias = w[name + "PCM.3.weight"], w[name + "PCM.3.bias"]
        x = ops.convolution(x, *wider(weight, c.conv_groups, bias))
        x = ops.transpose(ops.reshape(x, (n, d, g * g)), (0, 2, 1))
        nothing = ops.constant(np.zeros((n, 1, d), np.float32))
        return ops.reshape(ops.concat([nothing, x], 1), (n * t, d))

    def inception(self, pixels: Node) -> Node:
        ops, c, w = self.ops, self.c, self.w
        name, last = INCEPTION, len(c.inception) - 1
        stem = w[name + "0.weight"], w[name + "0.bias"]
        bands = self.halved(pixels)  # the stem is linear: pooled before it is as pooled after it
        x, first = ops.convolution(bands, *stem), partial(self.conv_block, bands, stem=stem)
        for i, place in enumerate(c.inception_places):
            paths = self.paths(x, first, f"{name}{place}.", three_paths=i == last)
            paths = [ops.average_pool(path) for path in paths] if c.pooled_after[i] else paths
            x = ops.concat(paths, 1)
            first = partial(self.conv_block, x)
        width = w[f"{name}{self.inception_end}.weight"].shape[1]
        return self.dense(ops.reshape(x, (self.rows, width)), name, (self.inception_end,))

    def halved(self, pixels: Node) -> Node:
        """Mean of 2x2 pixels, as the product of two rows; libraries pool few channels slowly."""
        ops, side = self.ops, self.c.image_size
        half = side // 2
        pairs = ops.reshape(pixels, (self.rows * self.c.bands * half, 2 * side))
        mean = np.equal.outer(np.arange(half), np.arange(2 * side) % side // 2) / 4
        halved = ops.linear(pairs, mean, np.zeros(half, np.float32))
        return ops.reshape(halved, (self.rows, self.c.bands, half, half))

    def paths(
        self, x: Node, first: Callable[[str], Node], name: str, *, three_paths: bool
    ) -> list[Node]:
        """Outputs of an Inception module; `first` applies a first layer, by name, to its input."""
        paths = [first(name + "branch1")]
        for branch in ("branch2",) if three_paths else ("branch2", "branch3"):
            paths.append(self.conv_block(first(f"{name}{branch}.0"), f"{name}{branch}.1"))
        paths.append(self.conv_block(self.ops.max_pool(x), name + "branch4.1"))
        return paths

    def conv_block(self, x: Node, name: str, stem: Affine | None = None) -> Node:
        """Convolution and ReLU; of 1x1 pixels and what `stem` makes of x, if there is one."""
        weight, bias = self.folded(name + ".conv", name + ".bn")
        if stem is not None:
            bias = bias + weight[:, :, 0, 0] @ stem[1]
            weight = (weight[:, :, 0, 0] @ stem[0][:, :, 0, 0])[:, :, None, None]
        return self.ops.unary("relu", self.ops.convolution(x, weight, bias))

    def magnitudes(self, mag: Node) -> Node:
        ops, w = self.ops, self.w
        shifted = ops.add(mag, ops.constant(-w["normalise.mag_shift"]))
        scaled = ops.multiply(shifted, ops.constant(1 / w["normalise.mag_scale"]))
        return self.dense(scaled, "inception_model.magnitude_block.", (0, 2, 4, 6))

    def dense(self, x: Node, name: str, places: Sequence[int]) -> Node:
        """Linear layers with a ReLU behind each."""
        for place in places:
            x = self.ops.unary("relu", self.linear(x, f"{name}{place}"))
        return x

    def linear(self, x: Node, name: str) -> Node:
        return self.ops.linear(x, self.w[name + ".weight"], self.w[name + ".bias"])

    def norm(self, x: Node, name: str) -> Node:
        return self.ops.layer_norm(x, self.w[name + ".weight"], self.w[name + ".bias"])

    def folded(self, conv: str, norm: str) -> tuple[Values, Values]:
        """Weight and bias of a convolution and the batch normalisation behind it, as one."""
        w = self.w
        scale = w[norm + ".weight"] / np.sqrt(w[norm + ".running_var"] + BATCH_NORM_EPS)
        bias = (w[conv + ".bias"] - w[norm + ".running_mean"]) * scale + w[norm + ".bias"]
        return w[conv + ".weight"] * scale[:, None, None, None], bias


def wider(weight: Values, groups: int, bias: Values) -> tuple[Values, Values, int]:
    """The same convolution in fewer groups, which have a vector's width of channels on both sides.

    Libraries compute groups of few channels at a tenth of their speed; what is added is zeros.

    Args:
        weight: (O, I / groups, K, K).
        groups: Of the convolution.
        bias: (O,).

    Returns:
        Weight, bias and number of groups, as `Operations.convolution` takes them.
    """
    outputs, inputs = len(weight) // groups, weight.shape[1]
    wanted = math.ceil(GROUP_CHANNELS / min(outputs, inputs))
    times = next(n for n in range(min(wanted, groups), 0, -1) if groups % n == 0)
    own = weight.reshape(groups // times, times, outputs, inputs, *weight.shape[2:])
    out = np.zeros(
        (groups // times, times, outputs, times, inputs, *weight.shape[2:]), weight.dtype
    )
    for i in range(times):
        out[:, i, :, i] = own[:, i]
    return out.reshape(len(weight), times * inputs, *weight.shape[2:]), bias, groups // times
