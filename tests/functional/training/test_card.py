"""The committed model: its card tells the truth, and a lie in it is found."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cosmic.errors import InputError
from cosmic.model.training.card import CARD_FILE, QUICK, README_FILE, read_card, readme, verify
from cosmic_cli.commands.model import app

TINY = Path(__file__).parents[3] / "models" / "tiny"


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    return Path(shutil.copytree(TINY, tmp_path / "tiny"))


def test_the_committed_card_holds() -> None:
    assert verify(TINY, quick=True) == []


def test_the_committed_model_is_small_and_good_enough() -> None:
    card = read_card(TINY)
    legacy, catalog = (card["tests"][name]["scores"] for name in ("legacy", "catalog"))
    assert (TINY / "astromae-tiny.safetensors").stat().st_size < 1_000_000
    assert legacy["r2"] >= 0.96
    assert legacy["sigma_nmad"] <= 0.015
    assert catalog["sigma_nmad"] <= 0.016
    assert abs(legacy["coverage_68"] - 0.68) < 0.03
    assert all(test["sample"]["split"] == "test" for test in card["tests"].values())


def test_the_page_is_the_card() -> None:
    assert (TINY / README_FILE).read_text() == readme(read_card(TINY))


def test_a_better_score_than_the_real_one_is_found(copy: Path) -> None:
    card = read_card(copy)
    card["tests"]["catalog"]["quick_scores"]["sigma_nmad"] -= 0.005
    card["parameters"] = 15_902_889
    (copy / CARD_FILE).write_text(json.dumps(card))
    result = CliRunner().invoke(app, ["verify", str(copy), "--quick", "--json"])
    assert result.exit_code == 1
    found = json.loads(result.stdout)
    assert not found["holds"]
    assert [d["what"] for d in found["differences"]] == [
        "parameters",
        "catalog.quick_scores.sigma_nmad",
    ]


def test_other_weights_than_the_card_describes_are_found(copy: Path) -> None:
    path = copy / "astromae-tiny.safetensors"
    raw = bytearray(path.read_bytes())
    raw[-1] ^= 1
    path.write_bytes(raw)
    assert "sha256" in [d.what for d in verify(copy, quick=True)]


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"name": "astromae-tiny"}'])
def test_a_card_that_is_none_is_refused(copy: Path, text: str) -> None:
    (copy / CARD_FILE).write_text(text)
    with pytest.raises(InputError, match="card"):
        verify(copy, quick=True)


def test_inspect_says_what_a_checkpoint_is() -> None:
    path = str(TINY / "astromae-tiny.safetensors")
    result = CliRunner().invoke(app, ["inspect", path, "--json"])
    found = json.loads(result.stdout)
    assert found["sha256"] == read_card(TINY)["sha256"]
    assert found["parameters"] == 233_001


def test_quick_scores_are_of_fewer_objects() -> None:
    for test in read_card(TINY)["tests"].values():
        assert test["quick_scores"]["n"] == QUICK < test["scores"]["n"]
