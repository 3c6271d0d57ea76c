"""What an AstroMAE is made of: its dimensions, and the tensors of its weights.

Without torch, so that a checkpoint can be read and run where torch is not installed.
"""

from __future__ import annotations

from dataclasses import dataclass

Shapes = dict[str, tuple[int, ...]]


@dataclass(frozen=True)
class AstroMAEConfig:
    """Every dimension of an AstroMAE.

    Attributes:
        image_size: Side of the square image, pixels.
        bands: Bands of the image; as many magnitudes.
        patch_size: Side of a transformer patch, pixels.
        embed_dim: Width of a token.
        depth: Transformer blocks.
        heads: Attention heads of a block.
        mlp_dim: Hidden width of a block's MLP.
        conv_dim: Hidden width of a block's convolution branch.
        conv_groups: Groups of both its convolutions.
        conv_kernel: Kernel of both its convolutions, pixels of the patch grid.
        stem: Channels of the Inception branch's first convolution.
        inception: Channels of each path of the Inception modules, in order.
        branch_dim: Output width of the transformer and of the Inception branch.
        magnitude_dim: Width of the magnitude branch.
        fusion_dim: Hidden width of the head.
    """

    image_size: int = 32
    bands: int = 5
    patch_size: int = 8
    embed_dim: int = 192
    depth: int = 12
    heads: int = 3
    mlp_dim: int = 768
    conv_dim: int = 768
    conv_groups: int = 48
    conv_kernel: int = 1
    stem: int = 32
    inception: tuple[int, ...] = (16, 16, 8, 8, 4)
    branch_dim: int = 1096
    magnitude_dim: int = 1024
    fusion_dim: int = 1024

    def __post_init__(self) -> None:
        """Refuse dimensions that can't be built, naming them and their values."""
        for whole, part in (
            ("image_size", "patch_size"),
            ("embed_dim", "heads"),
            ("embed_dim", "conv_groups"),
            ("conv_dim", "conv_groups"),
        ):
            a, b = getattr(self, whole), getattr(self, part)
            if a < 1 or b < 1 or a % b:
                raise ValueError(f"{whole} {a} is not a multiple of {part} {b}")
        if self.embed_dim % 4:
            raise ValueError(f"embed_dim {self.embed_dim} is not a multiple of 4")
        if self.image_size % 8:
            raise ValueError(f"image_size {self.image_size} is not a multiple of 8")

    @property
    def grid(self) -> int:
        """Patches along a side."""
        return self.image_size // self.patch_size

    @property
    def pooled_after(self) -> tuple[bool, ...]:
        """Whether average pooling follows each Inception module: each second, never the last."""
        last = len(self.inception) - 1
        return tuple(i % 2 == 1 and i != last for i in range(last + 1))

    @property
    def inception_places(self) -> tuple[int, ...]:
        """Index in `vis_inception` of each Inception module, after convolution and pooling."""
        return tuple(2 + i + sum(self.pooled_after[:i]) for i in range(len(self.inception)))

    @property
    def inception_side(self) -> int:
        """Side of the last Inception module's output, pixels."""
        return self.image_size >> (1 + sum(self.pooled_after))


PRESETS: dict[str, AstroMAEConfig] = {
    "full": AstroMAEConfig(),
    "tiny": AstroMAEConfig(
        embed_dim=48,
        depth=4,
        heads=3,
        mlp_dim=192,
        conv_dim=96,
        conv_groups=12,
        branch_dim=80,
        magnitude_dim=64,
        fusion_dim=64,
    ),
}


def tensor_shapes(c: AstroMAEConfig) -> Shapes:
    """Name and shape of every tensor of the model's state; a scalar's shape is ().

    All are float32 but those whose names end in `num_batches_tracked`, which are int64.
    """
    d = c.embed_dim
    shapes: Shapes = {
        "z_shift": (1,),
        "z_scale": (1,),
        "normalise.stretch": (1,),
        **{f"normalise.{name}": (c.bands,) for name in NORMALISATION},
        "cls_token": (1, 1, d),
        "pos_embed": (1, 1 + c.grid**2, d),
        **_layer("patch_embed.proj", d, c.bands, c.patch_size, c.patch_size),
        **_norm("fc_norm", d),
        **_layer("head", d, d),
        **_layer("vit_block.0", c.branch_dim, d),
        **_layer("vit_block.2", c.branch_dim, c.branch_dim),
        **_layer("concat_block.0", c.fusion_dim, 2 * c.branch_dim + c.magnitude_dim),
        **_layer("concat_block.2", 1, c.fusion_dim),
    }
    for i in range(c.depth):
        shapes |= _block(f"blocks.{i}.", c)
    return shapes | _inception_branch("inception_model.vis_inception.", c) | _magnitudes(c)


NORMALISATION = ("softening", "image_scale", "mag_shift", "mag_scale", "mag_neutral")


def _layer(name: str, outputs: int, *inputs: int) -> Shapes:
    return {f"{name}.weight": (outputs, *inputs), f"{name}.bias": (outputs,)}


def _norm(name: str, width: int) -> Shapes:
    return {f"{name}.weight": (width,), f"{name}.bias": (width,)}


def _batch_norm(name: str, width: int) -> Shapes:
    running = {f"{name}.running_mean": (width,), f"{name}.running_var": (width,)}
    return {**_norm(name, width), **running, f"{name}.num_batches_tracked": ()}


def _block(name: str, c: AstroMAEConfig) -> Shapes:
    d, h, k, g = c.embed_dim, c.conv_dim, c.conv_kernel, c.conv_groups
    return {
        **_norm(name + "norm1", d),
        name + "attn.q_bias": (d,),
        name + "attn.v_bias": (d,),
        name + "attn.qkv.weight": (3 * d, d),
        **_layer(name + "attn.proj", d, d),
        **_layer(name + "PCM.0", h, d // g, k, k),
        **_batch_norm(name + "PCM.1", h),
        **_layer(name + "PCM.3", d, h // g, k, k),
        **_norm(name + "norm2", d),
        **_layer(name + "mlp.fc1", c.mlp_dim, d),
        **_layer(name + "mlp.fc2", d, c.mlp_dim),
    }


def _conv_block(name: str, inputs: int, outputs: int, kernel: int) -> Shapes:
    conv = _layer(f"{name}.conv", outputs, inputs, kernel, kernel)
    return {**conv, **_batch_norm(f"{name}.bn", outputs)}


def _inception_branch(name: str, c: AstroMAEConfig) -> Shapes:
    shapes, width = _layer(name + "0", c.stem, c.bands, 1, 1), c.stem
    for place, out in zip(c.inception_places, c.inception, strict=True):
        module = f"{name}{place}."
        shapes |= _conv_block(module + "branch1", width, out, 1)
        for path, kernel in (("branch2", 3), ("branch3", 5)):
            shapes |= _conv_block(f"{module}{path}.0", width, out, 1)
            shapes |= _conv_block(f"{module}{path}.1", out, out, kernel)
        shapes |= _conv_block(module + "branch4.1", width, out, 1)
        width = 4 * out
    first = c.inception_places[-1] + 2  # Flatten lies between
    flat = 3 * c.inception[-1] * c.inception_side**2
    shapes |= _layer(f"{name}{first}", c.branch_dim, flat)
    return shapes | _layer(f"{name}{first + 2}", c.branch_dim, c.branch_dim)


def _magnitudes(c: AstroMAEConfig) -> Shapes:
    name, m = "inception_model.magnitude_block.", c.magnitude_dim
    shapes = _layer(name + "0", m, c.bands)
    for place in (2, 4, 6, 8):
        shapes |= _layer(f"{name}{place}", m, m)
    return shapes
