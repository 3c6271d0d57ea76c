"""Binning for the page: every object counted once, however it comes in, in bounded memory."""

from __future__ import annotations

import tracemalloc

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from cosmic.metrics import residuals
from cosmic.report.bins import BLOCK_ROWS, bin_redshifts

redshift = st.floats(-0.5, 30, width=32) | st.just(float("nan"))
pairs = st.lists(st.tuples(redshift, redshift.filter(lambda z: z != -1)), max_size=60)


@given(pairs, st.integers(0, 60))
def test_every_object_is_counted_once_however_it_comes(
    rows: list[tuple[float, float]], cut: int
) -> None:
    both = np.array(rows, np.float32).reshape(-1, 2).T
    binned = bin_redshifts([both[:, :cut], both[:, cut:]], sigma=0.05)
    assert binned == bin_redshifts([both], sigma=0.05)
    known = int(np.isfinite(both).all(axis=0).sum())
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


def test_memory_does_not_grow_with_rows() -> None:
    rows = np.full((3, 20 * BLOCK_ROWS), 0.1, np.float32)
    tracemalloc.start()
    bin_redshifts([rows])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < rows.nbytes / 2
