"""Sufficient statistics: any order of summing agrees, what was not summed is noticed."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import scipy.stats
from astropy.stats import mad_std
from hypothesis import given, settings
from hypothesis import strategies as st

from cosmic.metrics.photo_z import Z_EDGES, photo_z_metrics, residuals
from cosmic.metrics.statistics import BINS, Statistics, disagreements, summation_bound
from cosmic.results.collective import CollectiveRecord, parse_collective

seeds = st.integers(0, 2**32 - 1)
Redshifts = tuple[np.ndarray, np.ndarray]
KINDS = (
    "ordinary",
    "constant z_spec",
    "z_spec within 1e-5",
    "a galaxy group",
    "heavy outliers",
    "one huge outlier",
    "z_spec of stand-ins",
    "no finite prediction",
    "perfect",
)


def sample(kind: str, seed: int, rows: int) -> Redshifts:
    """z_phot and z_spec (rows,) float32, which may be awkward, but are no fault of a run."""
    draw = np.random.default_rng(seed)
    z_spec = draw.uniform(0, 1, rows)
    if kind == "constant z_spec":
        z_spec[:] = draw.uniform(0, 1)
    elif kind == "z_spec within 1e-5":
        z_spec = 0.1 + 1e-5 * draw.random(rows)
    elif kind == "a galaxy group":
        z_spec = draw.normal(0.5, 0.001, rows)
    elif kind == "z_spec of stand-ins":
        z_spec[::2] = draw.choice([-1, -9, -99, -999, -9999, 99, 1e20, np.nan, np.inf])
    z_phot = z_spec + draw.standard_t(2, rows) * draw.choice([1e-4, 0.01, 0.1])
    if kind == "heavy outliers":
        z_phot *= 10.0 ** draw.uniform(-3, 17, rows)
    elif kind == "one huge outlier":
        z_phot[0] = draw.choice([1e4, 1e5, -1e17, 1e38])
    elif kind == "no finite prediction":
        z_phot[:] = draw.choice([np.nan, np.inf])
    elif kind == "perfect":
        z_phot = z_spec
    with np.errstate(over="ignore"):
        return z_phot.astype(np.float32), z_spec.astype(np.float32)


def reduced(z: Redshifts, ranks: int, draw: np.random.Generator) -> Statistics:
    """What ranks of random sizes sum batch by batch, and then among each other in any order."""
    cuts = np.sort(draw.integers(0, len(z[0]) + 1, ranks - 1))
    parts = []
    for phot, spec in zip(*(np.split(column, cuts) for column in z), strict=True):
        batch = int(draw.integers(8, 65))
        edges = range(0, len(phot), batch)
        batches = [Statistics.of(phot[i : i + batch], spec[i : i + batch]) for i in edges]
        parts.append(sum(batches, Statistics.none()))
    order = draw.permutation(ranks)
    return sum((parts[i] for i in order), Statistics.none())


@pytest.mark.parametrize("kind", KINDS)
@given(seed=seeds, rows=st.integers(1, 400), ranks=st.integers(1, 8))
def test_good_runs_agree_however_they_were_cut(kind: str, seed: int, rows: int, ranks: int) -> None:
    z = sample(kind, seed, rows)
    found = reduced(z, ranks, np.random.default_rng(seed))
    assert disagreements(found, Statistics.of(*z)) == []


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=20)
@given(seed=seeds, rows=st.integers(1, 100))
def test_metrics_are_strict_json_and_count_every_row(kind: str, seed: int, rows: int) -> None:
    found = photo_z_metrics(*sample(kind, seed, rows), np.full(rows, 18.0))
    json.dumps(found, allow_nan=False)
    assert found["n"] + sum(found["left_out"].values()) == rows


@pytest.mark.parametrize("kind", [k for k in KINDS if k != "no finite prediction"])
@given(seed=seeds, rows=st.integers(20, 200), ranks=st.integers(2, 8))
def test_a_lost_ranks_statistics_are_noticed(kind: str, seed: int, rows: int, ranks: int) -> None:
    z = sample(kind, seed, rows)
    kept = (z[0][rows // ranks :], z[1][rows // ranks :])
    found = reduced(kept, ranks, np.random.default_rng(seed))
    assert disagreements(found, Statistics.of(*z))


@pytest.mark.parametrize("change", ["z_phot", "z_spec"])
@pytest.mark.parametrize("kind", ["ordinary", "constant z_spec", "a galaxy group", "perfect"])
@given(seed=seeds, rows=st.integers(20, 200))
def test_one_wrong_redshift_is_noticed(kind: str, change: str, seed: int, rows: int) -> None:
    """One row is off by a hundredth, beside an outlier that no sum of errors sees through."""
    z = sample(kind, seed, rows)
    z[0][0] = 1e17
    wrong = (z[0].copy(), z[1].copy())
    wrong[change == "z_spec"][3] += np.float32(0.01) * (1 + abs(z[0][3]))
    found = reduced(wrong, 3, np.random.default_rng(seed))
    assert disagreements(found, Statistics.of(*z))


def test_statistics_of_two_ranks_that_were_added_twice_are_noticed() -> None:
    z = sample("ordinary", 1, 100)
    once = Statistics.of(*z)
    assert disagreements(once + once, once)[0] == "n is 200 over FMI and 100 in the catalogue"


def test_sums_that_are_no_numbers_are_noticed() -> None:
    good = Statistics.of(*sample("ordinary", 1, 100))
    sums = good.sums.copy()
    sums[3] = np.nan
    assert (
        "the sum of dz is nan over FMI" in disagreements(Statistics(sums, good.histogram), good)[0]
    )


@given(seed=seeds, rows=st.integers(2, 2000), spread=st.integers(0, 17))
def test_no_order_of_summation_exceeds_the_bound(seed: int, rows: int, spread: int) -> None:
    draw = np.random.default_rng(seed)
    x = draw.standard_normal(rows) * 10.0 ** draw.uniform(0, spread, rows)
    one_by_one = float(np.cumsum(draw.permutation(x))[-1])
    bound = summation_bound(rows, float(np.abs(x).sum()))
    assert abs(one_by_one - float(x.sum())) <= bound
    assert abs(one_by_one - math.fsum(x)) <= bound / 2


def bin_of(z_phot: np.float32) -> int:
    found = Statistics.of(np.array([z_phot]), np.zeros(1, np.float32)).histogram
    assert found.sum() == 1
    return int(np.argmax(found))


@given(seed=seeds, exponent=st.integers(-12, 38))
def test_bins_follow_dz_in_order_and_are_narrow(seed: int, exponent: int) -> None:
    draw = np.random.default_rng(seed)
    low, high = np.sort(draw.uniform(-1, 1, 2) * 10.0**exponent).astype(np.float32)
    assert 0 <= bin_of(low) <= bin_of(high) < BINS
    width = 2.0**-8 * (min(abs(low), abs(high)) + 2.0**-10)
    if max(abs(low), abs(high)) < 15 and high - low > width:
        assert bin_of(low) < bin_of(high)


@given(seeds, st.integers(0, 300))
def test_the_record_of_what_was_reduced_loses_no_bit(seed: int, rows: int) -> None:
    sent = Statistics.of(*sample("heavy outliers", seed, rows)) if rows else Statistics.none()
    record = CollectiveRecord(reduced=sent.named(), dz_counts=sent.counts(), shard_sha256=())
    found = parse_collective(record.model_dump_json().encode()).statistics
    assert np.array_equal(found.sums, sent.sums)
    assert np.array_equal(found.histogram, sent.histogram)


@settings(max_examples=10)
@given(seeds, st.integers(2, 200))
def test_metrics_are_those_of_scipy_and_astropy(seed: int, rows: int) -> None:
    z_phot, z_spec = (c.astype(np.float64) for c in sample("ordinary", seed, rows))
    dz = (z_phot - z_spec) / (1 + z_spec)
    found = photo_z_metrics(z_phot, z_spec, np.full(rows, 18.0))
    mad = scipy.stats.median_abs_deviation(dz)
    assert found["sigma_nmad"] == pytest.approx(1.4826 * mad)
    assert found["sigma_nmad"] == pytest.approx(mad_std(dz), rel=1e-4)
    assert found["rail"]["sigma_iqr"] == pytest.approx(scipy.stats.iqr(dz) / 1.349)
    assert found["pasquet"]["bias_mean"] == pytest.approx(scipy.stats.tmean(dz), abs=1e-12)
    total = (rows - 1) * scipy.stats.tvar(z_spec)
    assert found["r2"] == pytest.approx(1 - np.sum((z_phot - z_spec) ** 2) / total)
    means = scipy.stats.binned_statistic(z_spec, z_spec, "mean", Z_EDGES).statistic
    expected = [mean for mean in means if np.isfinite(mean)]
    assert [each["mean"] for each in found["bins"]["z_spec"]] == pytest.approx(expected)


def test_r2_within_1e5_is_that_of_exact_arithmetic() -> None:
    z_phot, z_spec = sample("z_spec within 1e-5", 3, 400)
    exact_spec = [float(z) for z in z_spec]
    mean = math.fsum(exact_spec) / 400
    total = math.fsum((z - mean) ** 2 for z in exact_spec)
    errors = math.fsum((float(p) - s) ** 2 for p, s in zip(z_phot, exact_spec, strict=True))
    found = photo_z_metrics(z_phot, z_spec, np.full(400, 18.0))
    assert found["r2"] == pytest.approx(1 - errors / total, rel=1e-9)


@pytest.mark.parametrize("z", [0.1, 0.3, 1.7])
def test_r2_of_a_constant_is_undefined_and_says_why(z: float) -> None:
    z_spec = np.full(1000, z, np.float32)
    z_phot = z_spec + np.linspace(-0.1, 0.1, 1000, dtype=np.float32)
    found = photo_z_metrics(z_phot, z_spec, np.full(1000, 18.0))
    assert found["r2"] is None
    assert found["undefined"] == {"r2": "all z_spec are equal"}


def test_rows_without_both_redshifts_are_left_out_and_counted() -> None:
    z_phot = np.array([0.1, np.nan, 0.3, 0.2, 0.2, np.inf, 0.1, 0.2], np.float32)
    z_spec = np.array([0.1, 0.2, np.nan, -1, 1e20, -9, -0.05, np.inf], np.float32)
    assert Statistics.of(z_phot, z_spec).named()["n"] == 2
    found = photo_z_metrics(z_phot, z_spec, np.full(8, 18.0))
    assert found["n"] == 2
    assert found["left_out"] == {"no_prediction": 2, "no_z_spec": 1, "implausible_z_spec": 3}
    none = photo_z_metrics(z_phot[1:2], z_spec[1:2], np.full(1, 18.0))
    assert none == {
        "n": 0,
        "left_out": {"no_prediction": 1, "no_z_spec": 0, "implausible_z_spec": 0},
    }


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
    assert found["bins"]["mag_r"] == [{"from": 17.0, "to": 18.0, "mean": 17.5, "n": 5}]


def test_dz_is_relative_to_one_plus_z() -> None:
    dz = residuals(np.array([1.5], np.float32), np.array([1.0], np.float32))
    assert dz[0] == pytest.approx(0.25)
