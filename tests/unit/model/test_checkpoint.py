"""Checkpoints: what is saved comes back, and what differs is refused by name."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch

from cosmic.errors import InputError
from cosmic.model.architecture import PRESETS
from cosmic.model.astromae import AstroMAE
from cosmic.model.checkpoint import (
    ErrorTable,
    Provenance,
    load_checkpoint,
    save_checkpoint,
    to_bytes,
)
from cosmic.model.runners.torch import build


def rewrite(raw: bytes, **changes: Any) -> bytes:
    """The same checkpoint with metadata or tensors changed; None removes."""
    length = int.from_bytes(raw[:8], "little")
    metadata = json.loads(raw[8 : 8 + length])["__metadata__"]
    tensors = dict(safetensors.torch.load(raw))
    for name, value in changes.items():
        target: dict[str, Any] = metadata if name in metadata else tensors
        key = name.replace("__", ".")
        target.pop(key, None)
        if value is not None:
            target[key] = value
    return safetensors.torch.save(tensors, metadata)


def test_what_is_saved_comes_back(tmp_path: Path) -> None:
    torch.manual_seed(1)
    model = AstroMAE(PRESETS["tiny"]).eval()
    errors = ErrorTable(*np.arange(12, dtype=np.float32).reshape(3, 4))
    provenance = Provenance("m", "ab" * 32, 7, 0.03, 0.42)
    path = tmp_path / "m.safetensors"
    sha256 = save_checkpoint(path, model, provenance, errors)
    found = load_checkpoint(path, sha256.upper())
    assert found.sha256 == sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert (found.config, found.provenance) == (PRESETS["tiny"], provenance)
    np.testing.assert_array_equal(found.errors.incomplete, errors.incomplete)
    image, mag = torch.randn(3, 5, 32, 32), torch.randn(3, 5)
    with torch.inference_mode():
        assert torch.allclose(
            build(found.config, found.state)(image, mag), model(image, mag), atol=1e-6
        )
    assert [p.name for p in tmp_path.iterdir()] == ["m.safetensors"]


def test_the_same_model_gives_the_same_bytes() -> None:
    torch.manual_seed(1)
    model = AstroMAE(PRESETS["tiny"])
    errors = ErrorTable(*np.ones((3, 4), np.float32))
    once = {to_bytes(model, Provenance("m", "", 0, 0.0, 1.0), errors) for _ in range(10)}
    assert len(once) == 1


def test_another_checksum_is_refused_with_both(checkpoint_bytes: bytes) -> None:
    found = hashlib.sha256(checkpoint_bytes).hexdigest()
    with pytest.raises(InputError, match=found) as refusal:
        load_checkpoint(checkpoint_bytes, "0" * 64)
    assert refusal.value.code == "checkpoint-checksum"
    assert "0" * 64 in refusal.value.message


def test_one_flipped_bit_is_noticed(checkpoint_bytes: bytes) -> None:
    flipped = bytearray(checkpoint_bytes)
    flipped[-1] ^= 1
    with pytest.raises(InputError, match="sha256"):
        load_checkpoint(bytes(flipped), hashlib.sha256(checkpoint_bytes).hexdigest())


def architecture(**changes: Any) -> str:
    c = PRESETS["tiny"]
    return json.dumps({"type": "AstroMAE", **vars(c), **changes})


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"architecture": architecture(type="ResNet")}, "ResNet"),
        ({"architecture": architecture(colour=1)}, "colour"),
        ({"architecture": architecture(heads=7)}, "heads 7"),
        ({"architecture": architecture(depth="deep")}, "deep"),
        ({"architecture": architecture(depth=3)}, "model.blocks.3.PCM.0.bias is unknown"),
        ({"architecture": architecture(depth=5)}, "model.blocks.4.PCM.0.bias is missing"),
        ({"architecture": architecture(fusion_dim=32)}, r"\[64\], expected float32 \[32\]"),
        ({"architecture": "[]"}, "list"),
        ({"architecture": "{"}, "architecture"),
        ({"provenance": "{}"}, "provenance"),
        ({"format": "pickle"}, "pickle"),
        ({"version": "2"}, "'2'"),
        ({"model__cls_token": None}, "model.cls_token is missing"),
        ({"extra": torch.zeros(1)}, "extra is unknown"),
        ({"error__z": torch.zeros(3)}, "error.complete is float32"),
        ({"model__z_shift": torch.zeros(1, dtype=torch.float64)}, "float64"),
    ],
)
def test_what_differs_is_named(
    checkpoint_bytes: bytes, changes: dict[str, Any], named: str
) -> None:
    with pytest.raises(InputError, match=named) as refusal:
        load_checkpoint(rewrite(checkpoint_bytes, **changes))
    assert refusal.value.code == "checkpoint-invalid"


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\x80\x04\x95",
        b"PK\x03\x04" + b"\0" * 100,
        (10**12).to_bytes(8, "little") + b"{}",
        (2).to_bytes(8, "little") + b"{}",
        (2).to_bytes(8, "little") + b"[]",
    ],
    ids=["empty", "pickle", "zip", "long-header", "no-metadata", "list"],
)
def test_what_is_no_checkpoint_is_refused(raw: bytes) -> None:
    with pytest.raises(InputError) as refusal:
        load_checkpoint(raw)
    assert refusal.value.code == "checkpoint-invalid"


def test_a_truncated_file_is_refused(checkpoint_bytes: bytes) -> None:
    with pytest.raises(InputError) as refusal:
        load_checkpoint(checkpoint_bytes[:-100])
    assert refusal.value.code == "checkpoint-invalid"
