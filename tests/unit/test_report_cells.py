"""Counts on the sky and by redshift and magnitude."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray

from cosmic.report.cells import (
    FINE,
    MAG_CELLS,
    SKY_CELLS,
    Z_CELLS,
    Cells,
    MagnitudeCounts,
    SkyCounts,
    _fine_cells,
    redshift_magnitude,
)


def sky_of(ra: np.ndarray, dec: np.ndarray) -> Cells:
    sky = SkyCounts()
    for part in np.array_split(np.arange(len(ra)), 3):
        sky.see(pa.table({"ra": ra[part], "dec": dec[part]}))
    found = sky.cells()
    assert found is not None
    return found


@pytest.mark.parametrize(("low", "high"), [(120.0, 240.0), (-3.0, 2.0), (359.0, 361.0), (0, 360)])
def test_each_object_is_in_its_cell_and_a_field_across_0_is_whole(low: float, high: float) -> None:
    draw = np.random.default_rng(2)
    ra, dec = draw.uniform(low, high, 5_000), draw.uniform(-10, 35, 5_000)
    found = sky_of(ra, dec)
    counts = np.array(found.counts)
    assert counts.sum() == 5_000
    assert counts.shape[0] <= SKY_CELLS[0]
    assert counts.shape[1] <= SKY_CELLS[1]
    x, y = np.array(found.x_edges), np.array(found.y_edges)
    assert counts.shape == (len(x) - 1, len(y) - 1)
    assert x[-1] - x[0] <= (high - low) * 1.2 + 0.5
    there = ra + 360 * np.round((x.mean() - ra) / 360)
    expected, _, _ = np.histogram2d(there, dec, bins=(x, y))
    np.testing.assert_array_equal(counts, expected)


def test_positions_at_the_ends_and_missing_ones() -> None:
    ra = np.array([0.0, 360.0, 12.0, np.nan])
    found = sky_of(ra, np.array([90.0, -90.0, np.nan, 0.0]))
    assert np.array(found.counts).sum() == 2
    empty = SkyCounts()
    empty.see(pa.table({"ra": ra[3:], "dec": ra[3:]}))
    assert empty.cells() is None


def test_redshift_and_magnitude_count_objects_that_have_both() -> None:
    draw = np.random.default_rng(3)
    z, mag = draw.uniform(0, 0.4, 900), draw.normal(18, 1, 900)
    z[:5], mag[5:9] = np.nan, np.nan
    found = redshift_magnitude(z, mag)
    assert found is not None
    assert np.array(found.counts).sum() + found.outside == 891
    assert found.outside < 10
    assert redshift_magnitude(z[:5], mag[:5]) is None
    assert redshift_magnitude(z[:0], mag[:0]) is None


@pytest.mark.parametrize("rows", [1000, 70_000])
def test_few_objects_and_many_are_counted_once_in_rising_cells(rows: int) -> None:
    """Beyond some rows they are counted in fine cells; histogram2d of all rows is the oracle."""
    draw = np.random.default_rng(5)
    z = draw.uniform(0.05, 0.4, rows).astype(np.float32)
    mag = draw.normal(18, 1, rows).astype(np.float32)
    z[::10], mag[1::10] = np.nan, np.nan
    counted = MagnitudeCounts()
    for start in range(0, rows, 7000):
        counted.see(z[start : start + 7000], mag[start : start + 7000])
    found = counted.cells()
    assert found is not None
    assert len(found.x_edges) <= Z_CELLS + 1
    assert len(found.y_edges) <= MAG_CELLS + 1
    edges = [np.array(found.x_edges), np.array(found.y_edges)]
    both = np.isfinite(z) & np.isfinite(mag)
    expected, _, _ = np.histogram2d(z[both].astype(float), mag[both].astype(float), bins=edges)
    assert np.array_equal(found.counts, expected)
    assert found.outside == both.sum() - expected.sum() <= 0.01 * rows


@pytest.mark.parametrize(("axis", "edges"), [*enumerate(FINE)])
def test_fine_cells_hold_what_lies_between_their_edges(axis: int, edges: NDArray[Any]) -> None:
    beside = [np.nextafter(edges, -np.inf), edges, np.nextafter(edges, np.inf), [-1e30, 1e30]]
    values = np.concatenate(beside)
    for sample in (values, values.astype(np.float32)):
        expected = np.searchsorted(edges, sample.astype(np.float64), side="right")
        np.testing.assert_array_equal(_fine_cells(sample, axis), expected)
