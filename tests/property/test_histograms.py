"""Binning for the page: every object counted once, however it comes in, in bounded memory."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cosmic.metrics.photo_z import residuals
from cosmic.report.histograms import BLOCK_ROWS, bin_redshifts
from cosmic.report.redshift_counts import RedshiftCounts

redshift = st.floats(-0.5, 30, width=32) | st.just(float("nan"))
stand_in = st.sampled_from([-1.0, -9.0, -99.0, 99.0, float("inf")])
pairs = st.lists(st.tuples(redshift, redshift | stand_in), max_size=60)


@given(pairs, st.integers(0, 60))
def test_every_object_is_counted_once_however_it_comes(
    rows: list[tuple[float, float]], cut: int
) -> None:
    both = np.array(rows, np.float32).reshape(-1, 2).T
    binned = bin_redshifts([both[:, :cut], both[:, cut:]], sigma=0.05)
    assert binned == bin_redshifts([both], sigma=0.05)
    known = int((np.isfinite(both[0]) & (both[1] > -0.1) & (both[1] <= 20)).sum())
    assert (binned.rows, binned.known) == (len(rows), known)
    assert sum(map(sum, binned.density)) + binned.density_outside == known
    assert sum(binned.residuals) + binned.residuals_outside == known


def test_counts_are_those_of_numpy() -> None:
    draw = np.random.default_rng(1)
    both = np.stack([draw.normal(0.3, 0.1, 5000), draw.normal(0.3, 0.1, 5000)])
    binned = bin_redshifts([both], sigma=0.05)
    expected = np.histogram2d(both[1], both[0], (binned.z_edges, binned.z_edges))[0]
    assert np.array_equal(binned.density, expected)
    dz = residuals(both[0], both[1])
    assert np.array_equal(binned.residuals, np.histogram(dz, binned.residual_edges)[0])


def test_implausible_redshifts_are_on_no_axis() -> None:
    both = np.array([[0.1, 0.2, 0.2], [0.1, -1, 99]], np.float32)
    binned = bin_redshifts([both])
    assert binned.z_edges[0] == 0
    assert binned.z_edges[-1] < 0.3
    assert (sum(binned.n_z_spec), sum(binned.n_z_phot)) == (1, 3)


def test_a_model_that_always_gives_the_same_huge_number_can_be_binned() -> None:
    both = np.array([[3e38] * 5, [0.1] * 5], np.float32)
    binned = bin_redshifts([both], bias=2.7e38, sigma=0.0)
    assert np.all(np.diff(binned.residual_edges) > 0)
    assert sum(binned.residuals) + binned.residuals_outside == 5


def test_memory_does_not_grow_with_rows() -> None:
    rows = np.full((3, 20 * BLOCK_ROWS), 0.1, np.float32)
    tracemalloc.start()
    bin_redshifts([rows])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < rows.nbytes / 2


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even the first row is kept."""
    monkeypatch.setattr("cosmic.report.redshift_counts.EXACT_ROWS", 0)


@pytest.mark.usefixtures("counted")
@pytest.mark.parametrize("far", [0.4, 0.9, 3.5, 18.0])
def test_counts_in_fine_cells_are_those_of_numpy(far: float) -> None:
    draw = np.random.default_rng(2)
    spec = draw.uniform(0.01, far, 5000).astype(np.float32)
    phot = (spec + draw.normal(0.002, 0.02, 5000) * (1 + spec)).astype(np.float32)
    counts = RedshiftCounts()
    for part in np.split(np.arange(5000), [7, 3000]):
        counts.see(phot[part], spec[part])
    binned = counts.binned(bias=0.002, sigma=0.02)
    assert binned.z_edges[-1] >= 0.99 * far
    expected = np.histogram2d(spec, phot, (binned.z_edges, binned.z_edges))[0]
    assert np.array_equal(binned.density, expected)
    assert np.array_equal(binned.n_z_spec, np.histogram(spec, binned.nz_edges)[0])
    dz = residuals(phot, spec)
    exact = np.cumsum(np.histogram(dz, binned.residual_edges)[0])
    assert np.abs(np.cumsum(binned.residuals) - exact).max() < 0.02 * len(dz)


@pytest.mark.usefixtures("counted")
@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(pairs, st.integers(0, 60))
def test_every_object_is_counted_once_in_fine_cells_too(
    rows: list[tuple[float, float]], cut: int
) -> None:
    phot, spec = np.array(rows, np.float32).reshape(-1, 2).T
    counts = RedshiftCounts()
    for part in (slice(0, cut), slice(cut, None)):
        counts.see(phot[part], spec[part])
    binned = counts.binned(sigma=0.05)
    known = int((np.isfinite(phot) & (spec > -0.1) & (spec <= 20)).sum())
    assert (binned.rows, binned.known) == (len(rows), known)
    assert sum(map(sum, binned.density)) + binned.density_outside == known
    assert sum(binned.residuals) + binned.residuals_outside == known
