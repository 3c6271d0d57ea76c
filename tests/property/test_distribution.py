"""Quantiles in one pass: exact of few values, within the stated bounds of many, in any order."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from cosmic.metrics.distribution import KNEE, Distribution, cells_of, lower_edges
from cosmic.metrics.photo_z import BITS, EXACT_ROWS, PhotoZ, photo_z_metrics

seeds = st.integers(0, 2**32 - 1)
KINDS = ("a Gaussian", "heavy wings", "two peaks", "ties", "one-sided", "all the same")


def sample(kind: str, seed: int, rows: int) -> np.ndarray:
    draw = np.random.default_rng(seed)
    scale = draw.choice([1e-4, 0.01, 0.5])
    x: np.ndarray = draw.normal(scale, scale, rows)
    if kind == "heavy wings":
        x = np.clip(scale * draw.standard_t(2, rows), -15, 15)
    elif kind == "two peaks":
        x = scale * draw.normal(draw.choice([-3.0, 3.0], rows), 0.1)
    elif kind == "ties":
        x = np.round(draw.normal(0, 3, rows)) * scale
    elif kind == "one-sided":
        x = scale * draw.exponential(1, rows)
    elif kind == "all the same":
        x[:] = draw.normal(0, 1)
    return x


def taken_in(values: np.ndarray, seed: int, exact: int, bits: int = BITS) -> Distribution:
    """The values in another order, in a few blocks."""
    draw, found = np.random.default_rng(seed), Distribution(bits, exact)
    cuts = np.sort(draw.integers(0, len(values) + 1, 3))
    for block in np.split(draw.permutation(values), cuts):
        found.add(block)
    return found


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=20)
@given(seed=seeds, rows=st.integers(1, 400), bits=st.sampled_from([8, 15]))
def test_quantiles_and_mad_of_counts_are_within_the_bounds(
    kind: str, seed: int, rows: int, bits: int
) -> None:
    x = sample(kind, seed, rows)
    found = taken_in(x, seed, 0, bits).sample()
    for share in (0.0, 0.16, 0.25, 0.5, 0.75, 0.99, 1.0):
        assert abs(found.quantiles([share])[0] - np.quantile(x, share)) <= bound(x, share, bits)
    median, mad = float(np.median(x)), float(scipy.stats.median_abs_deviation(x))
    farther = np.quantile(np.abs(x - median), 0.5, method="higher")
    most = bound(x, 0.5, bits) + cell_width(abs(median) + farther, bits) * (1 + 1e-9)
    assert abs(found.distances(found.median()).median() - mad) <= most


def cell_width(value: float, bits: int) -> float:
    """No cell that holds this value, between -16 and 16, may be wider."""
    return float(2.0**-bits * (abs(value) + KNEE))


def bound(x: np.ndarray, share: float, bits: int) -> float:
    """The wider of the cells of the two order statistics that a quantile lies between."""
    both = [float(np.quantile(x, share, method=m)) for m in ("lower", "higher")]
    return max(cell_width(v, bits) for v in both) * (1 + 1e-9)


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=20)
@given(seed=seeds, rows=st.integers(1, 300))
def test_few_values_give_what_scipy_gives(kind: str, seed: int, rows: int) -> None:
    x = sample(kind, seed, rows)
    found = taken_in(x, seed, rows).sample()
    assert found.median() == pytest.approx(np.median(x), rel=1e-12)
    mad = scipy.stats.median_abs_deviation(x)
    assert found.distances(found.median()).median() == pytest.approx(mad, abs=1e-15)
    assert found.beyond(0.05) == np.mean(np.abs(x) > 0.05)


@settings(max_examples=20)
@given(seed=seeds, exact=st.sampled_from([0, 500]))
def test_neither_order_nor_blocks_make_a_difference(seed: int, exact: int) -> None:
    x = sample("heavy wings", seed, 400)
    one, other = taken_in(x, 1, exact).sample(), taken_in(x, 2, exact).sample()
    shares = [0.1, 0.5, 0.9]
    assert np.array_equal(one.quantiles(shares), other.quantiles(shares))
    assert one.distances(0.1).median() == other.distances(0.1).median()


@settings(max_examples=20)
@given(seeds)
def test_each_value_lies_between_the_edges_of_its_cell(seed: int) -> None:
    x = np.clip(sample("heavy wings", seed, 200), -15.9, 15.9)
    cells = cells_of(x, 8)
    assert np.all(lower_edges(cells, 8) <= x)
    assert np.all(x <= lower_edges(cells + 1, 8))
    width = lower_edges(cells + 1, 8) - lower_edges(cells, 8)
    assert np.all(width <= [cell_width(v, 8) * (1 + 1e-9) for v in x])


@pytest.mark.parametrize("exact", [0, 1000])
@pytest.mark.parametrize("kind", ["a Gaussian", "heavy wings", "one-sided"])
def test_errors_are_the_scatter_of_repeated_samples(kind: str, exact: int) -> None:
    """The error is that of a statistic: how it scatters over samples of the same population."""
    found = []
    for seed in range(150):
        x = _drawn(kind, seed, 1000)
        residual = Distribution(BITS, exact)
        residual.add(x)
        whole = residual.sample()
        median = whole.median()
        far = whole.distances(median)
        errors = whole.median_error(), whole.mad_error(median, far)
        found.append((median, far.median(), *errors))
    median, mad, median_error, mad_error = np.array(found).T
    assert median_error.mean() == pytest.approx(median.std(), rel=0.2)
    assert mad_error.mean() == pytest.approx(mad.std(), rel=0.2)


def _drawn(kind: str, seed: int, rows: int) -> np.ndarray:
    draw = np.random.default_rng(seed)
    if kind == "one-sided":
        return draw.exponential(0.02, rows)
    return draw.standard_t(3, rows) * 0.02 if kind == "heavy wings" else draw.normal(0, 0.02, rows)


def test_the_error_of_the_median_is_that_of_scipys_bootstrap() -> None:
    x = _drawn("a Gaussian", 1, 2000)
    residual = Distribution(BITS, len(x))
    residual.add(x)
    drawn = scipy.stats.bootstrap((x,), np.median, n_resamples=400, rng=1, method="percentile")
    assert residual.sample().median_error() == pytest.approx(drawn.standard_error, rel=0.25)


def test_a_large_sample_has_the_metrics_of_the_same_rows_at_once() -> None:
    rows = EXACT_ROWS + 30_000
    draw = np.random.default_rng(5)
    z_spec = draw.uniform(0.01, 0.6, rows).astype(np.float32)
    z_phot = (z_spec + draw.normal(0.002, 0.015, rows) * (1 + z_spec)).astype(np.float32)
    mag_r = draw.uniform(15, 20, rows).astype(np.float32)
    blocks = PhotoZ()
    for part in np.split(np.arange(rows), [10, 40_000, 70_000]):
        blocks.see(z_phot[part], z_spec[part], mag_r[part])
    found, whole = blocks.metrics(), photo_z_metrics(z_phot, z_spec, mag_r)
    dz = (z_phot.astype(float) - z_spec) / (1 + z_spec.astype(float))
    assert found["sigma_nmad"] == whole["sigma_nmad"]
    assert found["sigma_nmad"] == pytest.approx(
        1.4826 * scipy.stats.median_abs_deviation(dz), abs=1.5e-6
    )
    assert found["rail"]["bias_median"] == pytest.approx(np.median(dz), abs=1e-7)
    assert found["rail"]["sigma_iqr"] == pytest.approx(scipy.stats.iqr(dz) / 1.349, abs=1e-6)
    assert found["r2"] == pytest.approx(whole["r2"], rel=1e-12)
    assert found["pasquet"]["outliers_0.05"] == np.mean(np.abs(dz) > 0.05)
    one = found["bins"]["mag_r"][0]
    part = dz[(mag_r >= 15) & (mag_r < 16)]
    assert one["n"] == len(part)
    assert one["sigma_nmad"] == pytest.approx(
        1.4826 * scipy.stats.median_abs_deviation(part), abs=2e-5
    )
