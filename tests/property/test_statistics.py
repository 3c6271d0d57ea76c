"""Sufficient statistics: they add up, and agree with the exact metrics within their bounds."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cosmic.metrics import photo_z_metrics, residuals
from cosmic.statistics import Statistics, bin_centres, bin_width, disagreements

seeds = st.integers(0, 2**32 - 1)


def sample(seed: int, rows: int) -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(seed)
    z_spec = draw.uniform(0, 1, rows).astype(np.float32)
    scatter = draw.standard_t(2, rows) * draw.choice([1e-4, 0.01, 0.1])
    return (z_spec + scatter).astype(np.float32), z_spec


@given(seeds, st.integers(1, 400), st.integers(1, 8))
def test_reduced_parts_agree_with_the_whole(seed: int, rows: int, parts: int) -> None:
    z_phot, z_spec = sample(seed, rows)
    cuts = np.linspace(0, rows, parts + 1).astype(int)
    total = Statistics.none()
    for a, b in itertools.pairwise(cuts):
        total += Statistics.of(z_phot[a:b], z_spec[a:b])
    exact = photo_z_metrics(z_phot, z_spec, np.full(rows, 18.0))
    assert disagreements(total.summary(), exact) == []


@given(seeds, st.integers(20, 200))
def test_a_lost_row_is_noticed(seed: int, rows: int) -> None:
    z_phot, z_spec = sample(seed, rows)
    exact = photo_z_metrics(z_phot, z_spec, np.full(rows, 18.0))
    assert disagreements(Statistics.of(z_phot[1:], z_spec[1:]).summary(), exact)


def test_a_changed_redshift_is_noticed() -> None:
    z_phot, z_spec = sample(1, 100)
    exact = photo_z_metrics(z_phot, z_spec, np.full(100, 18.0))
    z_phot[3] += 0.01
    assert disagreements(Statistics.of(z_phot, z_spec).summary(), exact)


def test_rows_without_a_redshift_do_not_count() -> None:
    z_phot = np.array([0.1, np.nan, 0.3], np.float32)
    z_spec = np.array([0.1, 0.2, np.nan], np.float32)
    assert Statistics.of(z_phot, z_spec).summary()["n"] == 1
    assert Statistics.none().summary() == {"n": 0}


@given(st.floats(-5, 5))
def test_a_value_lies_in_the_bin_of_the_nearest_centre(dz: float) -> None:
    assert np.abs(bin_centres() - dz).min() <= bin_width(dz)


def test_metrics_of_a_known_sample() -> None:
    z_spec = np.zeros(5, np.float32)
    z_phot = np.array([-0.2, -0.01, 0.0, 0.01, 0.07], np.float32)
    found = photo_z_metrics(z_phot, z_spec, np.full(5, 17.5))
    assert found["n"] == 5
    assert found["sigma_nmad"] == pytest.approx(1.4826 * 0.01, rel=1e-5)
    assert found["pasquet"]["precision"] == pytest.approx(1.48 * 0.01, rel=1e-5)
    assert found["pasquet"]["bias_mean"] == pytest.approx(-0.026, rel=1e-5)
    assert found["pasquet"]["outliers_0.05"] == pytest.approx(0.4)
    assert found["pasquet"]["outliers_0.15"] == pytest.approx(0.2)
    assert found["rail"]["bias_median"] == 0
    assert found["rail"]["outliers"] == pytest.approx(0.4)
    assert found["r2"] is None
    assert found["bins"]["mag_r"] == [{"from": 17.0, "to": 18.0, "n": 5}]


def test_dz_is_relative_to_one_plus_z() -> None:
    dz = residuals(np.array([1.5], np.float32), np.array([1.0], np.float32))
    assert dz[0] == pytest.approx(0.25)
