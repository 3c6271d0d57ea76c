"""Engines: each gives the redshifts of the reference in float64, and says what it cannot do."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from cosmic.contracts.engines import ENGINES
from cosmic.errors import InputError
from cosmic.model.architecture import PRESETS, AstroMAEConfig
from cosmic.model.astromae import AstroMAE
from cosmic.model.checkpoint import Checkpoint, ErrorTable, Provenance, load_checkpoint, to_bytes
from cosmic.model.engine import Engine
from cosmic.model.runners.openvino import check_precision
from cosmic.model.runners.torch import build

Batch = tuple[NDArray[np.float32], NDArray[np.float32]]

COMMITTED = Path(__file__).parents[3] / "models/tiny/astromae-tiny.safetensors"
TOLERANCE = 2e-5
CONFIGS = {
    **PRESETS,
    "spatial": replace(PRESETS["tiny"], conv_kernel=3, inception=(8, 6, 4), image_size=16),
}


def random_checkpoint(config: AstroMAEConfig) -> Checkpoint:
    """Random weights, and running statistics and normalisation that are not neutral."""
    torch.manual_seed(11)
    model = AstroMAE(config)
    for name, tensor in (*model.named_buffers(), *model.named_parameters()):
        if name.endswith(("running_mean", "cls_token", "q_bias", "v_bias", "mag_shift", "z_shift")):
            tensor.data.normal_(0.0, 0.3)
        elif name.endswith(("running_var", "image_scale", "mag_scale", "softening", "z_scale")):
            tensor.data.uniform_(0.5, 1.5)
    errors = ErrorTable(*np.ones((3, 2), np.float32))
    return load_checkpoint(to_bytes(model, Provenance("random", "", 11, -10.0, 10.0), errors))


def oracle(
    checkpoint: Checkpoint, image: NDArray[np.float32], mag: NDArray[np.float32]
) -> NDArray[np.float64]:
    """The reference in double precision."""
    model = build(checkpoint.config, checkpoint.state).double()
    with torch.inference_mode():
        z: NDArray[np.float64] = model(
            torch.tensor(image).double(), torch.tensor(mag).double()
        ).numpy()
    return z


def with_gaps(batch: Batch, side: int) -> Batch:
    """Eight objects, of which four lack something."""
    image, mag = batch[0][:, :, :side, :side].copy(), batch[1].copy()
    image[1, 2, 3:5], image[2, 0], mag[2, 0], mag[3, 4], mag[4] = (
        np.nan,
        np.nan,
        np.nan,
        np.nan,
        np.nan,
    )
    return image, mag


@pytest.mark.parametrize("preset", CONFIGS)
def test_every_engine_gives_the_redshifts_of_the_reference(preset: str, batch: Batch) -> None:
    checkpoint = random_checkpoint(CONFIGS[preset])
    image, mag = with_gaps(batch, checkpoint.config.image_size)
    expected = oracle(checkpoint, image, mag)
    for name in ENGINES:
        found = Engine(checkpoint, 2, name=name, batch_size=16).predict(image, mag).z_phot
        assert np.abs(found - expected).max() <= TOLERANCE * (1 + np.abs(expected)).min(), name


@pytest.mark.parametrize("name", ENGINES)
def test_every_engine_runs_the_committed_checkpoint_like_the_reference(
    name: str, batch: Batch
) -> None:
    checkpoint = load_checkpoint(COMMITTED)
    image, mag = with_gaps(batch, 32)
    expected = oracle(checkpoint, image, mag)
    found = Engine(checkpoint, 1, name=name).predict(image, mag)
    np.testing.assert_allclose(found.z_phot, expected, rtol=TOLERANCE, atol=TOLERANCE)


def test_the_stretch_can_be_off(batch: Batch) -> None:
    checkpoint = random_checkpoint(PRESETS["tiny"])
    checkpoint.state["normalise.stretch"] = np.zeros(1, np.float32)
    expected = oracle(checkpoint, *batch)
    found = Engine(checkpoint, 1, name="openvino").predict(*batch).z_phot
    np.testing.assert_allclose(found, expected, rtol=TOLERANCE, atol=TOLERANCE)


def test_bf16_gives_nearly_the_same_where_the_processor_has_it(batch: Batch) -> None:
    checkpoint = load_checkpoint(COMMITTED)
    try:
        engine = Engine(checkpoint, 1, precision="bf16")
    except InputError as error:
        pytest.skip(error.message)
    found = engine.predict(*batch).z_phot
    assert engine.precision == "bf16"
    np.testing.assert_allclose(found, oracle(checkpoint, *batch), atol=0.05)
    assert not np.array_equal(found, Engine(checkpoint, 1).predict(*batch).z_phot)


def test_bf16_is_refused_where_the_processor_lacks_it() -> None:
    check_precision("float32", ["FP32"])
    check_precision("bf16", ["FP32", "BF16"])
    with pytest.raises(InputError, match="no bf16") as refusal:
        check_precision("bf16", ["FP32", "INT8"])
    assert refusal.value.code == "no-precision"


@pytest.mark.parametrize("name", ["onnxruntime", "torch"])
def test_engines_without_bf16_refuse_it(checkpoint_bytes: bytes, name: str) -> None:
    with pytest.raises(InputError, match=rf"{name}.*bf16"):
        Engine(load_checkpoint(checkpoint_bytes), 1, name=name, precision="bf16")


def test_an_unknown_engine_is_refused_with_those_there_are(checkpoint_bytes: bytes) -> None:
    with pytest.raises(InputError, match="'jax'") as refusal:
        Engine(load_checkpoint(checkpoint_bytes), 1, name="jax")
    assert all(name in refusal.value.hint for name in ENGINES)


def test_an_engine_that_is_not_installed_is_refused(
    checkpoint_bytes: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "cosmic.model.runners.onnx", raising=False)
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(InputError, match="onnxruntime, which is not installed") as refusal:
        Engine(load_checkpoint(checkpoint_bytes), 1, name="onnxruntime")
    assert refusal.value.code == "no-engine"
    assert "cosmic[onnxruntime]" in refusal.value.hint


def test_a_batch_too_large_is_refused(checkpoint_bytes: bytes, batch: Batch) -> None:
    with pytest.raises(InputError, match=r"8 rows.*takes 4"):
        Engine(load_checkpoint(checkpoint_bytes), 1, batch_size=4).predict(*batch)


@pytest.mark.process
def test_openvino_sends_no_usage_data_and_its_converter_can_still_be_imported() -> None:
    script = """
import sys
import cosmic.model.runners.openvino
assert not {m for m in sys.modules if "telemetry" in m or m.startswith("openvino.tools.ovc")}
import openvino.tools.ovc
"""
    subprocess.run([sys.executable, "-c", script], check=True)
