"""Quantiles of p(z): the tree that is walked, the file that it comes from, the engine."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cosmic.errors import InputError
from cosmic.model.checkpoint import Checkpoint, load_checkpoint, pack_checkpoint
from cosmic.model.domain import Place
from cosmic.model.engine import Engine
from cosmic.model.pz import LEAF, LEVELS, QuantileTable, read_quantiles

TINY = Path(__file__).parents[3] / "models/tiny/astromae-tiny.safetensors"
CELLS = 3
OFFSETS = np.linspace(-0.1, 0.1, len(LEVELS), dtype=np.float32)


@pytest.fixture(scope="module")
def tiny() -> Checkpoint:
    return load_checkpoint(TINY)


@pytest.fixture
def table() -> QuantileTable:
    """Incomplete objects are in cell 2, others in 0 up to magnitude 17 and in 1 beyond."""
    return QuantileTable(
        feature=np.array([0, 2, LEAF, LEAF, LEAF]),
        threshold=np.array([0.5, 17.0, 0, 0, 0], np.float32),
        next=np.array([[1, 2], [3, 4], [2, 2], [0, 0], [1, 1]]),
        residuals=np.stack([OFFSETS, 2 * OFFSETS, 3 * OFFSETS]),
        objects=np.array([100, 200, 300]),
    )


def place(*magnitudes: float) -> Place:
    r = np.array(magnitudes)
    return Place(r, np.zeros(len(r)), np.zeros(len(r), np.bool_))


def test_each_object_gets_the_residuals_of_its_cell(table: QuantileTable) -> None:
    z = np.array([0.1, 0.2, 0.3, np.nan], np.float32)
    incomplete = np.array([False, False, True, False])
    found = table.quantiles(z, place(16.0, 18.0, np.nan, 16.0), incomplete)
    for row, factor in enumerate((1, 2, 3)):
        expected = z[row] + (1 + np.float64(z[row])) * factor * OFFSETS
        np.testing.assert_allclose(found[row], expected, rtol=1e-6)
    assert np.isnan(found[3]).all()
    assert table.quantiles(z[:0], place(), incomplete[:0]).shape == (0, len(LEVELS))


def damaged(table: QuantileTable, **changed: Any) -> tuple[dict[str, str], dict[str, Any]]:
    table = replace(table, **changed)
    return {"pz": json.dumps(table.facts())}, table.tensors()


@pytest.mark.parametrize(
    "changed",
    [
        {"next": np.array([[0, 2], [3, 4], [2, 2], [0, 0], [1, 1]])},  # the root follows itself
        {"next": np.array([[1, 2], [3, 9], [2, 2], [0, 0], [1, 1]])},
        {"next": np.array([[1, 2], [3, 4], [CELLS, 2], [0, 0], [1, 1]])},
        {"feature": np.array([0, 7, LEAF, LEAF, LEAF])},
        {"feature": np.array([0, -3, LEAF, LEAF, LEAF])},
        {"residuals": np.stack([OFFSETS[::-1]] * CELLS)},
        {"residuals": np.full((CELLS, len(LEVELS)), np.nan, np.float32)},
        {"threshold": np.zeros(4, np.float32)},
        {"objects": np.ones(CELLS, np.float32)},
    ],
)
def test_a_table_that_leads_astray_is_refused(
    table: QuantileTable, changed: dict[str, Any]
) -> None:
    assert read_quantiles(*damaged(table)) is not None
    with pytest.raises(InputError, match="quantiles of p"):
        read_quantiles(*damaged(table, **changed))


def test_a_part_of_a_table_is_refused(table: QuantileTable) -> None:
    metadata, tensors = damaged(table)
    with pytest.raises(InputError, match="quantiles of p"):
        read_quantiles({}, tensors)
    with pytest.raises(InputError, match="quantiles of p"):
        read_quantiles(metadata, {})
    assert read_quantiles({}, {}) is None


def packed(tiny: Checkpoint, **parts: Any) -> Checkpoint:
    c = replace(tiny, **parts)
    data = pack_checkpoint(c.config, c.state, c.provenance, c.errors, c.domain, c.pz)
    return load_checkpoint(data)


def test_it_comes_back_from_a_checkpoint(tiny: Checkpoint, table: QuantileTable) -> None:
    found = packed(tiny, pz=table).pz
    assert found is not None
    for name, column in table.tensors().items():
        np.testing.assert_array_equal(found.tensors()[name], column)
    assert packed(tiny, pz=None).pz is None


def test_the_shipped_model_encloses_z_phot_and_its_redshifts_do_not_depend_on_it(
    tiny: Checkpoint,
) -> None:
    draw = np.random.default_rng(3)
    image = draw.normal(0, 1, (20, 5, 32, 32)).astype(np.float32)
    mag = draw.normal([19, 18, 17, 16.6, 16.4], 0.3, (20, 5)).astype(np.float32)
    mag[3, 0] = np.nan
    made = Engine(tiny, 1).predict(image, mag)
    assert made.z_quantiles.dtype == np.float32
    assert (np.diff(made.z_quantiles, axis=1) > 0).all()
    assert ((made.z_quantiles[:, 0] < made.z_phot) & (made.z_phot < made.z_quantiles[:, -1])).all()
    without = Engine(packed(tiny, pz=None), 1).predict(image, mag)
    assert np.isnan(without.z_quantiles).all()
    for name in ("z_phot", "z_phot_err", "flags"):
        np.testing.assert_array_equal(getattr(made, name), getattr(without, name))


def test_an_object_has_the_same_quantiles_whatever_is_beside_it(tiny: Checkpoint) -> None:
    draw = np.random.default_rng(4)
    image = draw.normal(0, 1, (30, 5, 32, 32)).astype(np.float32)
    mag = draw.normal([19, 18, 17, 16.6, 16.4], 0.5, (30, 5)).astype(np.float32)
    engine = Engine(tiny, 1)
    whole, part = engine.predict(image, mag), engine.predict(image[10:20], mag[10:20])
    np.testing.assert_array_equal(whole.z_quantiles[10:20], part.z_quantiles)
