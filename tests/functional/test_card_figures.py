"""How fast a model runs, kept in its card, and taken by plans of that very model alone."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from cosmic.calibration.card import measure_for_card
from cosmic.calibration.measure import Calibration
from cosmic.contracts.engines import EngineName
from cosmic.costs.card_figures import CardFigures, Runs, with_figures
from cosmic.costs.measured import Subject, usual
from cosmic.costs.workload import earlier
from cosmic.errors import InputError, InvalidInput

TINY = Path(__file__).parents[2] / "models/tiny"
OPENVINO, ONNXRUNTIME = Runs("openvino", "float32"), Runs("onnxruntime", "float32")


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A folder with a checkpoint and its card."""
    return Path(shutil.copytree(TINY, tmp_path / "model"))


def card_of(model: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((model / "card.json").read_text())
    return found


def block(card: dict[str, Any], engine: EngineName, rate: float, **changes: Any) -> CardFigures:
    subject = Subject(1_000_000, 20_548, 64, engine, "float32", card["sha256"])
    figures = usual(rate, subject).model_copy(update=changes)
    return CardFigures(date="2026-11-28", cpu="a processor", versions={}, figures=figures)


def test_what_was_measured_stands_in_the_card_and_is_taken_from_there(model: Path) -> None:
    before = card_of(model)
    wanted = Calibration(model, batch_sizes=(64,), seconds=0.05)
    found = measure_for_card(model, wanted, lambda what: None)
    after = card_of(model)
    assert {name: part for name, part in after.items() if name != "measured"} == before
    assert set(found.versions) == {"cosmic", "openvino"}
    assert found.figures.model_sha256 == before["sha256"]
    assert found.figures.row_bytes > 5 * 32 * 32 * 4
    taken, rows = earlier(model / "card.json", OPENVINO)
    assert rows is None
    assert taken.rows_per_s == found.figures.rows_per_s
    assert found.cpu in taken.where
    assert found.date in taken.where


def test_figures_are_those_of_the_engine_that_will_run(model: Path) -> None:
    path, card = model / "card.json", card_of(model)
    for engine, rate in (("openvino", 100.0), ("onnxruntime", 50.0), ("openvino", 200.0)):
        card = with_figures(card, block(card, engine, rate), path)  # type: ignore[arg-type]
    path.write_text(json.dumps(card))
    assert len(card["measured"]) == 2, "one block for each engine and precision, the newest"
    assert earlier(path, OPENVINO)[0].rows_per_s == {64: 200.0}
    assert earlier(path, ONNXRUNTIME)[0].rows_per_s == {64: 50.0}


def test_figures_of_other_weights_neither_come_in_nor_stay(model: Path) -> None:
    path, card = model / "card.json", card_of(model)
    with pytest.raises(InputError, match="another checkpoint than the one measured"):
        with_figures(card, block(card, "openvino", 1.0, model_sha256="b" * 64), path)
    card = with_figures(card, block(card, "onnxruntime", 1.0), path) | {"sha256": "b" * 64}
    found = with_figures(card, block(card, "openvino", 2.0), path)["measured"]
    assert [part["figures"]["engine"] for part in found] == ["openvino"]


def test_a_card_without_figures_says_how_to_get_them(model: Path) -> None:
    with pytest.raises(InputError, match="has no figures") as refused:
        earlier(model / "card.json", OPENVINO)
    assert "cosmic model measure" in refused.value.hint


def test_damaged_figures_are_refused(model: Path) -> None:
    (model / "card.json").write_text(json.dumps(card_of(model) | {"measured": [{"cpu": 1}]}))
    with pytest.raises(InvalidInput, match="the figures are damaged"):
        earlier(model / "card.json", OPENVINO)


def test_a_folder_without_a_card_can_not_be_measured(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no model card at"):
        measure_for_card(tmp_path, Calibration(tmp_path), lambda what: None)
