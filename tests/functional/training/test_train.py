"""Training: the same recipe gives the same model, and it learns."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from cosmic.data.synth.dataset import Columns, Sample, rows
from cosmic.errors import InputError
from cosmic.model.checkpoint import ErrorTable, Provenance, to_bytes
from cosmic.model.training.calibrate import calibrate, predict
from cosmic.model.training.recipe import Recipe
from cosmic.model.training.samples import drop_bands, sources
from cosmic.model.training.scores import score
from cosmic.model.training.train import train

RECIPE = Recipe(objects=256, steps=12, batch=16, threads=1)


@pytest.fixture(scope="module")
def data() -> Columns:
    return rows(Sample("legacy", 256, 5, "train"), 0, 256)


def weights(recipe: Recipe, data: Columns) -> bytes:
    errors = ErrorTable(*np.ones((3, 2), np.float32))
    return to_bytes(train(recipe, data), Provenance("m", "", recipe.seed, 0.0, 1.0), errors)


def test_the_same_recipe_gives_the_same_bytes_and_another_seed_does_not(data: Columns) -> None:
    once = weights(RECIPE, data)
    torch.rand(3)  # whatever else draws random numbers in between
    assert weights(RECIPE, data) == once
    assert weights(Recipe(objects=256, steps=12, batch=16, threads=1, seed=2), data) != once


def test_a_few_steps_already_beat_a_guess(data: Columns) -> None:
    losses: list[float] = []
    recipe = Recipe(objects=256, steps=60, batch=32, threads=1)
    model = train(recipe, data, lambda _, loss: losses.append(loss))
    assert len(losses) == 1
    off = predict(model, data["image"], data["mag"]) - data["z_spec"]
    assert off.std() < 0.7 * data["z_spec"].std()
    assert not model.training


def test_an_unknown_preset_is_refused(data: Columns) -> None:
    with pytest.raises(InputError, match="'huge'"):
        train(Recipe(preset="huge", threads=1), data)


@pytest.mark.parametrize("name", ["objects", "steps", "batch", "threads"])
def test_a_recipe_needs_at_least_one_of_everything(name: str) -> None:
    counts = {name: 0}
    with pytest.raises(InputError, match=f"{name} is 0"):
        Recipe(**counts)  # type: ignore[arg-type]


def test_no_test_object_is_made_of_a_galaxy_trained_on() -> None:
    used = sources(1000, 1)
    assert {s.split for s in (*used.train, *used.calibrate)} == {"train"}
    assert {s.split for s in used.tests.values()} == {"test"}
    recipes = {(s.population, s.seed) for s in used.train}
    assert not recipes & {(s.population, s.seed) for s in used.calibrate}


def test_dropped_bands_lose_their_magnitude_and_sometimes_their_pixels(data: Columns) -> None:
    image, mag = drop_bands(data["image"], data["mag"], 1.0, np.random.default_rng(0))
    lost = np.isnan(mag).sum(axis=1)
    dark = np.all(np.isnan(image), axis=(2, 3))
    assert set(lost.tolist()) == {1, 2}
    assert 0.3 < np.mean(np.any(dark, axis=1)) < 0.8
    assert not (dark & ~np.isnan(mag)).any()
    assert np.isfinite(data["image"]).all()
    kept, _ = drop_bands(data["image"], data["mag"], 0.0, np.random.default_rng(0))
    np.testing.assert_array_equal(kept, data["image"])


def test_calibrated_errors_hold_about_68_percent(data: Columns) -> None:
    model = train(RECIPE, data)
    table = calibrate(model, data, 0)
    z = predict(model, data["image"], data["mag"])
    width = np.interp(z, table.z, table.complete).astype(np.float32)
    assert (np.diff(table.z) > 0).all()
    assert 0.6 < score(z, width, data["z_spec"]).coverage_68 < 0.76


def test_scores_are_those_computed_by_hand() -> None:
    spec = np.array([0.0, 0.1, 0.2, 0.3], np.float32)
    phot = spec + (1 + spec) * np.array([0.0, 0.01, -0.01, 0.2], np.float32)
    found = score(phot, np.full(4, 0.02, np.float32), spec)
    assert found.bias == pytest.approx(0.05)
    assert found.sigma_nmad == pytest.approx(1.4826 * 0.01, rel=1e-4)
    assert (found.outliers_005, found.outliers_015, found.coverage_68) == (0.25, 0.25, 0.75)
    residual = phot.astype(np.float64) - spec
    assert found.r2 == pytest.approx(1 - (residual**2).sum() / 0.05, rel=1e-5)
