"""A model of one's own: split by hash, trained, calibrated, gone on with, refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.torch import load_file
from typer.testing import CliRunner

from cosmic.contracts.bands import BANDS
from cosmic.data.native import write_partition
from cosmic.data.synth.dataset import Columns, Sample, rows
from cosmic.errors import CosmicError, InputError
from cosmic.model.checkpoint import load_checkpoint
from cosmic.model.training import fit, own_sky
from cosmic.model.training.calibrate_model import restored
from cosmic.model.training.labelled import PERCENT, open_labelled, percentile_of
from cosmic.model.training.own_sky import OwnRecipe, train_on
from cosmic_cli.commands.model import app

OBJECTS, SIDE, SCALE = 900, 19, 0.262
RECIPE = OwnRecipe(steps=6, batch=16, round_steps=2, patience=3)


@pytest.fixture(scope="module")
def columns() -> Columns:
    made = rows(Sample("legacy", OBJECTS, 4, "train", image_size=SIDE), 0, OBJECTS)
    made["z_spec"][::90] = (-9, np.nan) * 5
    made["mag"][7, 0] = -9999
    made["image"][9, 1, 3, 3] = np.nan
    return made


@pytest.fixture(scope="module")
def partitions(columns: Columns, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("own")
    for number, part in enumerate((slice(0, 500), slice(500, OBJECTS))):
        some = {name: column[part] for name, column in columns.items()}
        write_partition(folder / f"{number}.safetensors", some, pixel_scale_arcsec=SCALE)
    return folder


def test_objects_are_split_by_their_ids_alone_and_read_back(
    partitions: Path, columns: Columns
) -> None:
    data = open_labelled(partitions)
    assert (data.image_side, data.bands, data.pixel_arcsec) == (SIDE, BANDS, SCALE)
    assert data.left_out == 10
    assert sum(map(len, data.parts.values())) == OBJECTS - 10
    place = {int(i): at for at, i in enumerate(columns["object_id"])}
    for part, (low, high) in PERCENT.items():
        found = data.read(data.parts[part])
        percent = percentile_of(found["object_id"])
        assert ((percent >= low) & (percent < high)).all()
        at = [place[int(i)] for i in found["object_id"]]
        np.testing.assert_array_equal(found["image"], columns["image"][at])
        np.testing.assert_array_equal(found["z_spec"], columns["z_spec"][at])
    assert len(data.parts["train"]) == pytest.approx(0.7 * OBJECTS, abs=60)


def test_a_round_takes_each_object_once_before_any_comes_again(partitions: Path) -> None:
    data = open_labelled(partitions)
    n = len(data.parts["validation"])
    batches = data.shuffled("validation", n, np.random.default_rng(1))
    first, second = next(batches)["object_id"], next(batches)["object_id"]
    assert (
        sorted(first) == sorted(second) == sorted(data.read(data.parts["validation"])["object_id"])
    )
    assert first.tolist() != second.tolist()


def test_text_ids_are_split_too() -> None:
    ids = np.array([f"SDSS J{i:06d}" for i in range(2000)], "S12")
    percent = percentile_of(ids)
    assert np.histogram(percent, bins=10, range=(0, 100))[0].min() > 140
    np.testing.assert_array_equal(percent[::-1], percentile_of(ids[::-1]))


def test_the_command_makes_a_calibrated_model_that_fits_the_data(
    partitions: Path, tmp_path: Path
) -> None:
    asked = ["train", "--data", str(partitions), "--out", str(tmp_path), "--name", "mine"]
    result = CliRunner().invoke(app, [*asked, "--steps", "4", "--batch", "16", "--json"])
    assert result.exit_code == 0, result.output
    card = json.loads(result.stdout)
    checkpoint = load_checkpoint(tmp_path / "mine.safetensors", card["sha256"])
    assert checkpoint.config.image_size == 16
    assert checkpoint.domain is not None
    assert (checkpoint.domain.image_pixels, checkpoint.domain.pixel_arcsec) == (16, SCALE)
    assert checkpoint.pz is not None
    test = card["tests"]["test"]
    assert test["scores"]["n"] == card["data"]["objects"]["test"]
    assert set(test["pz"]["coverage"]) == {"68", "90", "95"}
    assert "trained on own data" in (tmp_path / "README.md").read_text()
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "README.md",
        "card.json",
        "mine.safetensors",
    ]


class Stopped(Exception):  # noqa: N818
    """What a person does."""


@pytest.fixture(scope="module")
def whole(partitions: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A model that was trained in one go, and its SHA-256."""
    folder = tmp_path_factory.mktemp("whole")
    card = train_on(partitions, folder, "m", RECIPE)
    return folder / "m.safetensors", card["sha256"]


def test_a_stopped_training_goes_on_to_the_same_weights(
    partitions: Path, tmp_path: Path, whole: tuple[Path, str]
) -> None:
    def stop(told: fit.Told) -> None:
        if told.step == 4:
            raise Stopped

    with pytest.raises(Stopped):
        train_on(partitions, tmp_path, "m", RECIPE, progress=stop)
    with pytest.raises(InputError, match="belongs to another training"):
        train_on(partitions, tmp_path, "m", OwnRecipe(steps=7, batch=16))
    steps: list[int] = []
    again = train_on(
        partitions, tmp_path, "m", RECIPE, progress=lambda told: steps.append(told.step)
    )
    assert steps == [6]
    assert again["sha256"] == whole[1]


def test_it_stops_when_nothing_gets_better_and_keeps_the_best(
    partitions: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, whole: tuple[Path, str]
) -> None:
    losses = iter([3.0, 2.0, 2.5, 2.1, 2.2, 1.0])
    monkeypatch.setattr(fit.Fit, "_validate", lambda self: next(losses))
    pace = fit.Pace(100, 8, 1e-3, 0.01, 0.0, seed=1, round_steps=1, patience=3)
    data = open_labelled(partitions)
    seen: list[float] = []
    centred = own_sky.Centred(**vars(data), side=16)
    training = fit.Fit(restored(load_checkpoint(whole[0])), centred, pace, tmp_path, "mine")
    weights = training.run(lambda told: seen.append(told.validation)).state_dict()
    assert seen == [3.0, 2.0, 2.5, 2.1, 2.2]
    assert training.progress.best == 2.0
    kept = load_file(tmp_path / fit.STATE_FILE)
    name = "concat_block.2.weight"
    assert weights[name].equal(kept[f"best.{name}"])
    assert not weights[name].equal(kept[f"model.{name}"])


def test_a_checkpoint_to_start_from_has_to_fit(
    partitions: Path, tmp_path: Path, whole: tuple[Path, str]
) -> None:
    second = train_on(partitions, tmp_path / "b", "b", RECIPE, start_from=whole[0])
    assert second["training"]["from"] == whole[1]
    tiny = Path(__file__).parents[3] / "models/tiny/astromae-tiny.safetensors"
    with pytest.raises(InputError, match="u, g, r, i, z of 32 pixels"):
        train_on(partitions, tmp_path / "c", "c", RECIPE, start_from=tiny)
    assert not (tmp_path / "c").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c.pop("z_spec"), "has no z_spec"),
        (lambda c: c.update(image=c["image"][..., :16]), "its images are"),
        (lambda c: c["z_spec"].fill(-9), "too few objects"),
    ],
)
def test_data_that_can_not_be_learned_from_are_refused(
    columns: Columns, tmp_path: Path, change: Callable[[Any], Any], message: str
) -> None:
    few = {name: column[:60].copy() for name, column in columns.items()}
    if "images" in message:
        write_partition(tmp_path / "0.safetensors", few, pixel_scale_arcsec=SCALE)
    change(few)
    write_partition(tmp_path / "1.safetensors", few, pixel_scale_arcsec=SCALE)
    with pytest.raises(CosmicError, match=message):
        open_labelled(tmp_path)


def test_an_empty_folder_and_an_unknown_scale_are_refused(columns: Columns, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no partitions"):
        open_labelled(tmp_path)
    for number, scale in enumerate((0.2, 0.3)):
        some = {name: column[number::2] for name, column in columns.items()}
        write_partition(tmp_path / f"{number}.safetensors", some, pixel_scale_arcsec=scale)
    with pytest.raises(InputError, match="scale"):
        open_labelled(tmp_path)
    assert open_labelled(tmp_path, 0.25).pixel_arcsec == 0.25


def test_a_recipe_with_nonsense_is_refused() -> None:
    with pytest.raises(InputError, match="patience is 0"):
        OwnRecipe(patience=0)
    with pytest.raises(InputError, match="preset"):
        own_sky.OwnRecipe(preset="huge")
