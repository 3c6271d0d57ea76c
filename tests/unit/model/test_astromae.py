"""The architecture: its size, its names, and what it does with what is missing."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from cosmic.model.architecture import PRESETS, AstroMAEConfig, tensor_shapes
from cosmic.model.astromae import AstroMAE, asinh, count_parameters, sincos_positions


def meta(config: AstroMAEConfig) -> AstroMAE:
    with torch.device("meta"):
        return AstroMAE(config)


def test_full_has_the_published_number_of_parameters() -> None:
    assert count_parameters(meta(PRESETS["full"])) == 15_902_889


def test_tiny_stays_under_a_megabyte() -> None:
    model = meta(PRESETS["tiny"])
    assert count_parameters(model) == 233_001
    assert sum(t.nbytes for t in model.state_dict().values()) < 950_000


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("cls_token", (1, 1, 192)),
        ("pos_embed", (1, 17, 192)),
        ("patch_embed.proj.weight", (192, 5, 8, 8)),
        ("blocks.11.attn.qkv.weight", (576, 192)),
        ("blocks.11.attn.q_bias", (192,)),
        ("blocks.0.PCM.0.weight", (768, 4, 1, 1)),
        ("blocks.0.PCM.3.weight", (192, 16, 1, 1)),
        ("blocks.0.mlp.fc1.weight", (768, 192)),
        ("vit_block.2.weight", (1096, 1096)),
        ("inception_model.vis_inception.0.weight", (32, 5, 1, 1)),
        ("inception_model.vis_inception.8.branch3.1.conv.weight", (4, 4, 5, 5)),
        ("inception_model.vis_inception.10.weight", (1096, 192)),
        ("inception_model.magnitude_block.8.weight", (1024, 1024)),
        ("concat_block.0.weight", (1024, 3216)),
    ],
)
def test_full_names_its_tensors_as_the_published_checkpoint_does(
    name: str, shape: tuple[int, ...]
) -> None:
    assert tuple(meta(PRESETS["full"]).state_dict()[name].shape) == shape


@pytest.mark.parametrize(
    "config",
    [*PRESETS.values(), replace(PRESETS["tiny"], conv_kernel=3, inception=(8, 6), image_size=16)],
)
def test_the_shapes_written_down_without_torch_are_those_of_the_model(
    config: AstroMAEConfig,
) -> None:
    state = meta(config).state_dict()
    assert {name: tuple(t.shape) for name, t in state.items()} == tensor_shapes(config)
    whole = {name for name, t in state.items() if t.dtype is not torch.float32}
    assert whole == {name for name in state if name.endswith("num_batches_tracked")}


def test_keys_have_no_bias_of_their_own() -> None:
    names = meta(PRESETS["full"]).state_dict()
    assert "blocks.0.attn.qkv.bias" not in names
    assert "blocks.0.attn.k_bias" not in names


@pytest.mark.parametrize(
    ("field", "value"),
    [("patch_size", 7), ("heads", 5), ("conv_groups", 7), ("image_size", 0), ("patch_size", 0)],
)
def test_dimensions_that_do_not_divide_are_refused(field: str, value: int) -> None:
    change: dict[str, Any] = {field: value}
    with pytest.raises(ValueError, match=str(value)):
        replace(PRESETS["full"], **change)


def test_a_missing_magnitude_counts_as_the_neutral_one_and_a_bad_pixel_as_sky() -> None:
    torch.manual_seed(0)
    model = AstroMAE(PRESETS["tiny"]).eval()
    model.normalise.mag_neutral.fill_(17.0)
    image, mag = torch.randn(2, 5, 32, 32), torch.full((2, 5), 18.0)
    image[:, 1, 4, 4], mag[:, 2] = 0.0, 17.0
    with torch.inference_mode():
        known = model(image, mag)
        image[:, 1, 4, 4], mag[:, 2] = torch.nan, torch.nan
        assert torch.equal(model(image, mag), known)


def test_normalisation_is_undone_by_neutral_buffers() -> None:
    normalise = AstroMAE(PRESETS["tiny"]).normalise
    normalise.stretch.zero_()
    image, mag = torch.randn(2, 5, 32, 32), torch.randn(2, 5)
    pixels, mags = normalise(image, mag)
    assert torch.equal(pixels, image)
    assert torch.equal(mags, mag)


def test_asinh_agrees_with_torch() -> None:
    x = torch.cat((torch.zeros(1), torch.logspace(-6, 6, 1001)))
    x = torch.cat((x, -x))
    torch.testing.assert_close(asinh(x), torch.asinh(x), rtol=1e-6, atol=3e-7)


def test_the_class_token_has_no_position_and_patches_differ() -> None:
    table = sincos_positions(4, 48)[0]
    assert not table[0].any()
    assert len(torch.unique(table[1:], dim=0)) == 16
    torch.testing.assert_close(table[1:].square().sum(dim=1), torch.full((16,), 24.0))
