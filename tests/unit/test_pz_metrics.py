"""Metrics of p(z), against numerical integration and against draws whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import integrate, stats

from cosmic.contracts.quantiles import QUANTILES
from cosmic.metrics.pz import Pieces, PzStatistics, within

LEVELS = np.array(list(QUANTILES.values()))


def gaussians(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Quantiles (N, 9) of Gaussians, and a draw of each (N,)."""
    draw = np.random.default_rng(seed)
    middle, width = draw.uniform(0.1, 0.5, n), draw.uniform(0.01, 0.03, n)
    quantiles = middle[:, None] + width[:, None] * stats.norm.ppf(LEVELS)
    return quantiles, middle + width * draw.standard_normal(n)


def seen(quantiles: np.ndarray, z_spec: np.ndarray) -> PzStatistics:
    statistics = PzStatistics()
    statistics.see(quantiles, z_spec)
    return statistics


def test_draws_of_p_z_itself_are_covered_and_have_a_flat_pit() -> None:
    found = seen(*gaussians(20_000, seed=1)).metrics()
    assert found["known"] == found["n"] == 20_000
    for name, share in found["coverage"].items():
        assert share == pytest.approx(int(name) / 100, abs=0.01)
    expected = 20_000 * np.diff(found["pit"]["edges"])
    assert stats.chisquare(found["pit"]["counts"], expected).pvalue > 0.01


def test_scores_are_the_integrals_that_define_them() -> None:
    quantiles, z_spec = gaussians(6, seed=2)
    z_spec[0] = quantiles[0, 0] - 0.2  # beyond the end
    pieces = Pieces.of(quantiles)
    for i in range(len(z_spec)):
        knots, z = pieces.knots[i], z_spec[i]
        grid = np.sort(np.concatenate([np.linspace(-1, 2, 400_001), [z], knots]))
        cdf = np.interp(grid, knots, pieces.levels)
        crps = integrate.trapezoid((cdf - (grid >= z)) ** 2, grid)
        assert pieces.crps(z_spec)[i] == pytest.approx(crps, abs=2e-5)
        density = np.diff(pieces.levels) / np.diff(knots)
        square = integrate.quad(
            lambda x, d=density, k=knots: d[min(np.searchsorted(k, x) - 1, len(d) - 1)] ** 2,
            knots[0] + 1e-12,
            knots[-1] - 1e-12,
            points=knots[1:-1],
        )[0]
        at = np.searchsorted(knots, z) - 1
        there = density[at] if 0 <= at < len(density) else 0.0
        assert pieces.cde_losses(z_spec)[i] == pytest.approx(square - 2 * there, rel=1e-6)


def test_scores_prefer_the_truth_to_what_is_too_wide_or_too_narrow() -> None:
    quantiles, z_spec = gaussians(4_000, seed=3)
    middle = quantiles[:, [4]]
    made = [seen(middle + f * (quantiles - middle), z_spec).metrics() for f in (0.5, 1.0, 2.0)]
    for score in ("crps", "cde_loss"):
        assert made[1][score] < min(made[0][score], made[2][score])
    assert made[0]["coverage"]["68"] < 0.5
    assert made[2]["coverage"]["68"] > 0.9


def test_rows_without_quantiles_or_without_a_plausible_z_spec_do_not_count() -> None:
    quantiles, z_spec = gaussians(10, seed=5)
    quantiles[:2] = np.nan
    z_spec[2:5] = (np.nan, -9, -1)
    found = seen(quantiles, z_spec).metrics()
    assert (found["known"], found["n"]) == (8, 5)
    assert seen(quantiles[:2], z_spec[:2]).metrics() == {"known": 0, "n": 0}


def test_parts_add_up_to_the_whole() -> None:
    quantiles, z_spec = gaussians(300, seed=6)
    parts, whole = PzStatistics(), seen(quantiles, z_spec).metrics()
    for i in range(0, 300, 70):
        parts.see(quantiles[i : i + 70], z_spec[i : i + 70])
    made = parts.metrics()
    assert (made["pit"], made["coverage"]) == (whole["pit"], whole["coverage"])
    for score in ("crps", "cde_loss"):
        assert made[score] == pytest.approx(whole[score])


def test_equal_quantiles_have_a_finite_loss() -> None:
    found = seen(np.full((3, 9), 0.2), np.array([0.2, 0.1, 0.3])).metrics()
    assert np.isfinite([found["crps"], found["cde_loss"]]).all()
    assert within("68", np.full((3, 9), 0.2), np.array([0.2, 0.1, 0.3])).tolist() == [1, 0, 0]
