"""Which AstroMAE a checkpoint is: its dimensions from its tensors, and what must be as here."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from cosmic.data.torch_pickle import StoredTensor
from cosmic.data.torch_zip import LayoutError
from cosmic.errors import InputError
from cosmic.model.architecture import PRESETS, AstroMAEConfig, tensor_shapes
from cosmic.model.convert.modules import Found
from cosmic.model.convert.objects import Made

UNUSED = ("inception_model.conv2d_init.",)  # saved twice: it is inception_model.vis_inception.0
ADDED = re.compile(r"normalise\.|z_shift$|z_scale$|.*num_batches_tracked$")
BLOCK = re.compile(r"blocks\.(\d+)\.")
INCEPTION = re.compile(r"inception_model\.vis_inception\.(\d+)\.branch1\.conv\.weight")
HEADS = ("num_heads", "heads")
LAYER_NORM_EPS, BATCH_NORM_EPS = 1e-6, 1e-5
MAX_SHOWN = 8

Shape = tuple[int, ...]


def weights_of(found: Found) -> tuple[dict[str, StoredTensor], list[str]]:
    """The tensors that the model uses, and the names of those that are left out."""
    left_out = [name for name in found.tensors if name.startswith(UNUSED)]
    return {n: t for n, t in found.tensors.items() if n not in left_out}, left_out


def config_of(weights: Mapping[str, StoredTensor], heads: int | None) -> AstroMAEConfig:
    """The architecture that these tensors are of.

    Args:
        weights: By the published names.
        heads: Attention heads, which no tensor's shape tells; None: those of the preset `full`, if
            all other dimensions are its.

    Raises:
        InputError: they are of no AstroMAE, or the number of heads is not known.
    """
    shapes = {name: tensor.shape for name, tensor in weights.items()}
    try:
        patch, pcm = _axes(shapes, "patch_embed.proj.weight", 4), _axes(shapes, PCM, 4)
        grid = math.isqrt(_axes(shapes, "pos_embed", 3)[1] - 1)
        found = AstroMAEConfig(
            image_size=grid * patch[3],
            bands=patch[1],
            patch_size=patch[3],
            embed_dim=patch[0],
            depth=len({m[1] for m in map(BLOCK.match, shapes) if m}),
            heads=heads or 1,
            mlp_dim=_axes(shapes, "blocks.0.mlp.fc1.weight", 2)[0],
            conv_dim=pcm[0],
            conv_groups=patch[0] // max(1, pcm[1]),
            conv_kernel=pcm[3],
            stem=_axes(shapes, "inception_model.vis_inception.0.weight", 4)[0],
            inception=tuple(_widths(shapes)),
            branch_dim=_axes(shapes, "vit_block.0.weight", 2)[0],
            magnitude_dim=_axes(shapes, "inception_model.magnitude_block.0.weight", 2)[0],
            fusion_dim=_axes(shapes, "concat_block.0.weight", 2)[0],
        )
    except ValueError as error:
        raise LayoutError(f"not an AstroMAE: {error}") from error
    _compare(shapes, found)
    return found if heads else _with_heads_of_the_published(found)


def _with_heads_of_the_published(found: AstroMAEConfig) -> AstroMAEConfig:
    if found == replace(PRESETS["full"], heads=found.heads):
        return PRESETS["full"]
    message = "no tensor tells how many attention heads the model has"
    raise InputError(message, code="heads-unknown", hint="give --heads")


PCM = "blocks.0.PCM.0.weight"


def _axes(shapes: Mapping[str, Shape], name: str, axes: int) -> Shape:
    if name not in shapes:
        raise LayoutError(f"{name} is missing")
    if len(shapes[name]) != axes or 0 in shapes[name]:
        raise LayoutError(f"{name} has shape {list(shapes[name])}")
    return shapes[name]


def _widths(shapes: Mapping[str, Shape]) -> Iterator[int]:
    """Channels of a path of each Inception module, in order."""
    places = sorted(int(m[1]) for m in map(INCEPTION.fullmatch, shapes) if m)
    if not places:
        raise LayoutError("no Inception modules")
    for place in places:
        name = f"inception_model.vis_inception.{place}.branch1.conv.weight"
        yield _axes(shapes, name, 4)[0]


def _compare(shapes: Mapping[str, Shape], config: AstroMAEConfig) -> None:
    wanted = tensor_shapes(config)
    differ = [f"{n} is missing" for n in wanted if n not in shapes and not ADDED.match(n)]
    differ += [f"{n[:80]} is unknown" for n in shapes if n not in wanted]
    differ += [
        f"{n} has shape {list(shapes[n])}, expected {list(wanted[n])}"
        for n in wanted.keys() & shapes.keys()
        if shapes[n] != wanted[n]
    ]
    if differ:
        differ.sort()
        more = f", and {len(differ) - MAX_SHOWN} more" if len(differ) > MAX_SHOWN else ""
        raise LayoutError("not an AstroMAE: " + "; ".join(differ[:MAX_SHOWN]) + more)


def heads_of(found: Found) -> int | None:
    """Attention heads, from the attributes of a module that was saved whole."""
    attention = found.modules.get("blocks.0.attn")
    values = [attention.state.get(name) for name in HEADS] if attention else []
    return next((v for v in values if type(v) is int and v > 0), None)


def check_attributes(found: Found, config: AstroMAEConfig) -> None:
    """Refuse a module that computes something else with these weights than ours does.

    Raises:
        LayoutError: an attribute that the tensors don't show differs; the message names all.
    """
    differ = [text for name, one in found.modules.items() for text in _differs(name, one, config)]
    if differ:
        raise LayoutError(
            "it does not compute what AstroMAE computes: " + "; ".join(differ[:MAX_SHOWN])
        )


def _differs(name: str, module: Made, config: AstroMAEConfig) -> Iterator[str]:
    for attribute, wanted in _wanted(name, module.kind.rpartition(".")[2], config).items():
        value = module.state.get(attribute)
        close = isinstance(value, float) and math.isclose(value, wanted, rel_tol=1e-6)
        if value is not None and value != wanted and not close:
            yield f"{name}.{attribute} is {str(value)[:20]}, expected {wanted}"
    if name in ACTIVATIONS and ACTIVATIONS[name] not in module.kind:
        yield f"{name} is a {module.kind[:80]}, expected {ACTIVATIONS[name]}"


def _wanted(name: str, kind: str, config: AstroMAEConfig) -> dict[str, Any]:
    if kind == "LayerNorm":
        return {"eps": LAYER_NORM_EPS}
    if kind == "BatchNorm2d":
        return {"eps": BATCH_NORM_EPS}
    if re.fullmatch(r"blocks\.\d+\.attn", name):
        scale = (config.embed_dim // config.heads) ** -0.5
        return {"scale": scale, **dict.fromkeys(HEADS, config.heads)}
    return {}


ACTIVATIONS = {
    "vit_block.1": "ReLU",
    "concat_block.1": "ReLU",
    "blocks.0.PCM.2": "SiLU",
    "blocks.0.mlp.act": "GELU",
    **{f"inception_model.magnitude_block.{i}": "ReLU" for i in (1, 3, 5, 7)},
}
