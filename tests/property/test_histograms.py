"""Binning for the page: every object counted once, however it comes in, in bounded memory."""

from __future__ import annotations

import tracemalloc

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from cosmic.metrics.photo_z import residuals
from cosmic.report.histograms import BLOCK_ROWS, bin_redshifts

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
