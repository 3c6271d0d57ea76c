"""Cells of p(z): grown where errors differ, filled so that new objects are covered."""

from __future__ import annotations

import numpy as np
import pytest

from cosmic.metrics.pz import INTERVALS, within
from cosmic.model.pz import LEVELS, QuantileTable
from cosmic.model.training.fit_quantiles import (
    FEWEST,
    OBJECTS_PER_CELL,
    Residuals,
    conformal_quantiles,
    fit_quantiles,
)


def objects(n: int, seed: int, *, incomplete: bool = False, worse: float = 4.0) -> Residuals:
    """Objects whose residuals are wider where the density is low, and skew there."""
    draw = np.random.default_rng(seed)
    z, mag = draw.uniform(0, 0.4, n), draw.normal(17, 1, n)
    density = draw.uniform(-6, 2, n)
    odd = density < -3
    values = np.where(odd, worse * draw.gamma(2, 0.01, n), draw.normal(0, 0.01, n))
    values = 3 * values if incomplete else values
    features = np.column_stack([np.full(n, incomplete), z, mag, density]).astype(np.float32)
    return Residuals(features, values, np.arange(n))


def coverage(table: QuantileTable, new: Residuals, name: str) -> float:
    quantiles = table.residuals[table.cells(new.features)].astype(np.float64)
    return float(within(name, quantiles, new.values).mean())


def fitted(real: Residuals, drawn: Residuals | None = None) -> QuantileTable:
    grown_on = Residuals.together([objects(3000, 1), objects(1500, 2, incomplete=True)])
    table = fit_quantiles(grown_on, real, drawn)
    assert table is not None
    return table


def test_new_objects_are_covered_everywhere_the_cells_tell_apart() -> None:
    real = Residuals.together([objects(6000, 3), objects(3000, 4, incomplete=True)])
    table = fitted(real)
    new, gaps = objects(20_000, 5), objects(20_000, 6, incomplete=True)
    odd = new.features[:, 3] < -3
    for name in INTERVALS:
        for part in (new.take(odd), new.take(~odd), gaps):
            assert coverage(table, part, name) == pytest.approx(int(name) / 100, abs=0.025)


def test_drawn_objects_count_only_where_real_ones_are_too_few() -> None:
    real = objects(4000, 7)
    real = real.take(real.features[:, 3] > -3)  # none of the odd ones
    drawn = objects(4000, 8, worse=8.0)
    table, alone = fitted(real, drawn), fitted(real)
    new = objects(20_000, 9, worse=8.0)
    odd = new.features[:, 3] < -3
    assert coverage(table, new.take(odd), "68") == pytest.approx(0.68, abs=0.04)
    assert coverage(alone, new.take(odd), "68") < 0.3
    full = np.bincount(table.cells(real.features), minlength=len(table.objects))
    enough = full >= OBJECTS_PER_CELL
    assert enough.any()
    np.testing.assert_array_equal(table.objects[enough], full[enough])


def test_with_too_few_objects_there_is_no_table() -> None:
    grown_on = objects(500, 1)
    assert fit_quantiles(grown_on, objects(FEWEST - 1, 2)) is None
    small = fit_quantiles(grown_on, objects(FEWEST, 2))
    assert small is not None
    assert (small.objects >= FEWEST).all()
    assert (np.diff(small.residuals, axis=1) >= 0).all()


@pytest.mark.parametrize("n", [FEWEST, 99, 1000])
def test_quantiles_are_those_of_one_more_object(n: int) -> None:
    found = conformal_quantiles(np.arange(1.0, n + 1))
    for level, value in zip(LEVELS, found, strict=True):
        place = (n + 1) * level
        assert value == (
            np.floor(place) if level < 0.5 else np.ceil(place) if level > 0.5 else round(place)
        )


def test_the_same_objects_give_the_same_table() -> None:
    real = objects(1000, 3)
    first, second = fitted(real), fitted(real)
    for name, column in first.tensors().items():
        np.testing.assert_array_equal(column, second.tensors()[name])
