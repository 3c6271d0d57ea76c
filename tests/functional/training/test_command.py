"""`cosmic model train`, whole, on next to nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cosmic.data.synth.dataset import Sample
from cosmic.model.checkpoint import load_checkpoint
from cosmic.model.training import samples
from cosmic.model.training.card import verify
from cosmic_cli.commands.model import app


def test_training_writes_a_checkpoint_and_a_card_that_holds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = samples.Sources(
        train=(Sample("legacy", 200, 1, "train"),),
        calibrate=(Sample("legacy", 200, 2, "train"),),
        tests={"legacy": Sample("legacy", 100, 0, "test")},
    )
    monkeypatch.setattr(samples, "sources", lambda objects, seed: small)
    asked = ["train", "--out", str(tmp_path), "--name", "m", "--steps", "5", "--batch", "16"]
    result = CliRunner().invoke(app, [*asked, "--json"])
    assert result.exit_code == 0, result.output
    card = json.loads(result.stdout)
    checkpoint = load_checkpoint(tmp_path / "m.safetensors", card["sha256"])
    assert checkpoint.provenance.name == "m"
    assert checkpoint.provenance.training_data_sha256 == card["training_data_sha256"]
    assert checkpoint.domain is not None
    assert card["domain"] == checkpoint.domain.facts()
    assert card["domain"]["image_pixels"] == 32
    assert card["training"]["command"].startswith("cosmic model train --name m --preset tiny")
    assert verify(tmp_path) == []
