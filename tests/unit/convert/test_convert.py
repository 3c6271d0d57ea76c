"""Checkpoints that torch saved become ours: the same outputs, and nothing said that isn't known."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from typer.testing import CliRunner

from cai_support.model import ViT_Astro, saved_whole, trained
from cosmic.contracts.flags import Flag
from cosmic.errors import InputError
from cosmic.model.architecture import PRESETS
from cosmic.model.astromae import AstroMAE
from cosmic.model.checkpoint import load_checkpoint
from cosmic.model.convert.convert import convert
from cosmic.model.engine import Engine
from cosmic.model.runners.torch import build
from cosmic_cli.commands.model import app

TINY = PRESETS["tiny"]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return tmp_path / "published.pt"


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "converted.safetensors"


def saved(content: Any) -> bytes:
    file = io.BytesIO()
    torch.save(content, file)
    return file.getvalue()


def inputs(rows: int = 5) -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(3)
    return torch.randn(rows, 5, 32, 32), 15 + 5 * torch.rand(rows, 5, dtype=torch.float64)


def same_outputs(model: ViT_Astro, out: Path) -> None:
    image, mag = inputs()
    found = load_checkpoint(out)
    with torch.inference_mode():
        expected = model([image, mag])[:, 0]
        got = build(found.config, found.state)(image, mag.float())
    assert expected.std() > 0
    torch.testing.assert_close(got, expected, rtol=1e-5, atol=1e-5)


def test_the_published_checkpoint_gives_the_same_redshifts(source: Path, out: Path) -> None:
    model = trained(PRESETS["full"])
    source.write_bytes(saved_whole(model))
    before = set(sys.modules)
    done = convert(source, out)
    assert not {name for name in set(sys.modules) - before if name.startswith(("blocks", "timm"))}
    assert done.kind == "blocks.model_vit_inception.ViT_Astro"
    assert done.wrappers == ("torch.nn.parallel.data_parallel.DataParallel",)
    assert (done.config, done.parameters) == (PRESETS["full"], 15_902_889)
    assert done.left_out == tuple(f"inception_model.conv2d_init.{n}" for n in ("weight", "bias"))
    same_outputs(model, out)


@pytest.mark.parametrize("engine", ["openvino", "torch"])
def test_every_engine_runs_it(source: Path, out: Path, engine: str) -> None:
    model = trained(TINY)
    source.write_bytes(saved_whole(model))
    convert(source, out)
    image, mag = inputs(64)
    got = Engine(load_checkpoint(out), 1, name=engine).predict(image.numpy(), mag.numpy())
    with torch.inference_mode():
        expected = model([image, mag])[:, 0].numpy()
    np.testing.assert_allclose(got.z_phot, expected, rtol=2e-5, atol=2e-5)
    assert np.isnan(got.z_phot_err).all()
    assert not (got.flags & Flag.OUT_OF_RANGE).any()


def wrapped_state(model: nn.Module) -> Any:
    return nn.DataParallel(model).state_dict()


@pytest.mark.parametrize(
    "content",
    [
        wrapped_state,
        lambda m: m.state_dict(),
        lambda m: dict(m.state_dict()),
        lambda m: {"epoch": 3, "model": wrapped_state(m), "optimizer": {"lr": 0.1}},
        lambda m: {n: t.half().float() for n, t in m.state_dict().items() if "tracked" not in n},
    ],
)
def test_state_dicts(source: Path, out: Path, content: Any) -> None:
    model = trained(TINY)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(parameter.half().float())
    source.write_bytes(saved(content(model)))
    done = convert(source, out, heads=TINY.heads)
    assert done.kind == "state_dict"
    assert done.config == TINY


def test_half_precision_and_memory_formats(source: Path, out: Path) -> None:
    model = trained(TINY).half().float()
    state = {n: t.half() if t.is_floating_point() else t for n, t in model.state_dict().items()}
    conv = "inception_model.vis_inception.2.branch2.1.conv.weight"
    state[conv] = state[conv].contiguous(memory_format=torch.channels_last)
    assert state[conv].stride()[1] == 1
    source.write_bytes(saved(state))
    convert(source, out, heads=TINY.heads)
    same_outputs(model, out)


def test_our_own_module_keeps_its_normalisation(source: Path, out: Path) -> None:
    torch.manual_seed(1)
    model = AstroMAE(TINY).eval()
    model.normalise.mag_shift.fill_(17.5)
    model.z_scale.fill_(0.25)
    source.write_bytes(saved(nn.DataParallel(model)))
    assert convert(source, out).added == ()
    state = load_checkpoint(out).state
    for name, tensor in model.state_dict().items():
        np.testing.assert_array_equal(state[name], tensor.numpy())


def test_what_is_not_known_is_not_made_up(source: Path, out: Path) -> None:
    source.write_bytes(saved_whole(trained(TINY)))
    done = convert(source, out, name="astromae-published")
    found = load_checkpoint(out)
    p = found.provenance
    assert (p.name, p.converted_from) == ("astromae-published", done.source_sha256)
    assert (p.training_data_sha256, p.seed, p.z_min, p.z_max) == ("", None, None, None)
    assert np.isnan(found.errors.complete).all()
    assert np.isnan(found.errors.incomplete).all()
    assert found.state["normalise.stretch"] == 0
    assert set(done.as_dict()["unknown"]) == {"z_phot_err", "z_range", "training_data"}


def test_heads_that_nothing_tells_must_be_given(source: Path, out: Path) -> None:
    source.write_bytes(saved(trained(TINY).state_dict()))
    with pytest.raises(InputError, match="attention heads") as caught:
        convert(source, out)
    assert (caught.value.code, caught.value.hint) == ("heads-unknown", "give --heads")
    assert not out.exists()


def eps(model: ViT_Astro) -> None:
    model.blocks[1].norm1.eps = 1e-5  # type: ignore[union-attr]


def activation(model: ViT_Astro) -> None:
    model.vit_block[1] = nn.Tanh()


def scale(model: ViT_Astro) -> None:
    model.blocks[0].attn.scale = 1.0  # type: ignore[union-attr]


def layer(model: ViT_Astro) -> None:
    model.extra = nn.Linear(2, 2)


def width(model: ViT_Astro) -> None:
    model.blocks[1].mlp.fc1 = nn.Linear(48, 100)  # type: ignore[union-attr]


def bfloat(model: ViT_Astro) -> None:
    model.head.bfloat16()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (eps, r"blocks.1.norm1.eps is 1e-05, expected 1e-06"),
        (activation, "vit_block.1 is a torch.nn.modules.activation.Tanh, expected ReLU"),
        (scale, "blocks.0.attn.scale is 1.0"),
        (layer, "extra.bias is unknown; extra.weight is unknown"),
        (width, r"blocks.1.mlp.fc1.weight has shape \[100, 48\], expected \[192, 48\]"),
        (bfloat, "head.weight has numbers of a type that is not supported"),
    ],
)
def test_a_model_that_computes_something_else_is_refused(
    source: Path, out: Path, change: Any, says: str
) -> None:
    model = trained(TINY)
    change(model)
    source.write_bytes(saved_whole(model))
    with pytest.raises(InputError, match=says) as caught:
        convert(source, out)
    assert caught.value.code == "checkpoint-invalid"
    assert "state_dict()" in caught.value.hint
    assert not out.exists()


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (nn.Linear(2, 2), "patch_embed.proj.weight is missing"),
        (torch.ones(3), "it holds one StoredTensor"),
        ({"lr": 0.1}, "'lr' is a float"),
        ({}, "a dictionary of 0 items"),
        ([1], "it holds one list"),
        (nn.DataParallel(nn.DataParallel(nn.Linear(2, 2))), "not an AstroMAE"),
    ],
)
def test_other_things_are_refused_by_what_they_are(
    source: Path, out: Path, content: Any, says: str
) -> None:
    source.write_bytes(saved(content))
    with pytest.raises(InputError, match=says):
        convert(source, out)


def test_the_command_says_what_it_did(source: Path, out: Path) -> None:
    source.write_bytes(saved_whole(trained(TINY)))
    words = ["convert", str(source), "--out", str(out)]
    done = CliRunner().invoke(app, [*words, "--json"])
    assert done.exit_code == 0
    document = json.loads(done.stdout)
    assert document["config"]["embed_dim"] == 48
    assert document["sha256"] == load_checkpoint(out).sha256
    told = CliRunner().invoke(app, words).stdout
    assert "ViT_Astro, wrapped in torch.nn.parallel.data_parallel.DataParallel" in told
    assert "unknown: z_phot_err" in told
    inspected = CliRunner().invoke(app, ["inspect", str(out), "--json"])
    shown = json.loads(inspected.stdout, parse_constant=pytest.fail)
    assert shown["converted_from"] == document["source_sha256"]
