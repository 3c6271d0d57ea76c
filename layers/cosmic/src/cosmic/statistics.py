"""Sufficient statistics of the metrics: what ranks add up instead of moving every redshift.

Sums add exactly but for rounding. The median and the MAD come from a histogram of dz whose bins
are equally wide in asinh(dz / KNEE): fine near zero, a fixed fraction of dz far from it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cosmic.metrics import MAD_TO_SIGMA, OUTLIERS_AT, Floats, residuals

KNEE = 1e-3
REACH = float(np.arcsinh(10 / KNEE))
BINS = 8192
STEP = 2 * REACH / BINS
SUMS = ("n", "dz", "abs_error", "squared_error", "z_spec", "squared_z_spec", "out_0", "out_1")


@dataclass(frozen=True)
class Statistics:
    """Additive statistics of rows with both redshifts.

    Attributes:
        sums: float64 (8,), named by `SUMS`.
        histogram: int64 (BINS,), of dz; values beyond +-10 count in the outermost bins.
    """

    sums: NDArray[np.float64]
    histogram: NDArray[np.int64]

    @classmethod
    def none(cls) -> Statistics:
        """Statistics of no rows: the neutral element."""
        return cls(np.zeros(len(SUMS)), np.zeros(BINS, np.int64))

    @classmethod
    def of(cls, z_phot: Floats, z_spec: Floats) -> Statistics:
        """Statistics of rows (N,); those without both redshifts do not count."""
        known = np.isfinite(z_phot) & np.isfinite(z_spec)
        dz = residuals(z_phot[known], z_spec[known])
        spec = z_spec[known].astype(np.float64)
        error = z_phot[known].astype(np.float64) - spec
        sums = [len(dz), dz.sum(), np.abs(error).sum(), (error**2).sum()]
        sums += [spec.sum(), (spec**2).sum(), *((np.abs(dz) > at).sum() for at in OUTLIERS_AT)]
        bins = ((np.arcsinh(dz / KNEE) + REACH) / STEP).astype(np.int64).clip(0, BINS - 1)
        return cls(np.array(sums, np.float64), np.bincount(bins, minlength=BINS).astype(np.int64))

    def __add__(self, other: Statistics) -> Statistics:
        return Statistics(self.sums + other.sums, self.histogram + other.histogram)

    def summary(self) -> dict[str, Any]:
        """The metrics that follow, named as in `metrics.overall`; `{"n": 0}` for no rows."""
        total = dict(zip(SUMS, self.sums.tolist(), strict=True))
        n = total["n"]
        if n == 0:
            return {"n": 0}
        spread = total["squared_z_spec"] - total["z_spec"] ** 2 / n
        median, mad = self._median_and_mad()
        return {
            "n": int(n),
            "sigma_nmad": MAD_TO_SIGMA * mad,
            "mae": total["abs_error"] / n,
            "rmse": (total["squared_error"] / n) ** 0.5,
            "r2": 1 - total["squared_error"] / spread if spread > 0 else None,
            "bias_mean": total["dz"] / n,
            "bias_median": median,
            "outliers_0.05": total["out_0"] / n,
            "outliers_0.15": total["out_1"] / n,
        }

    def _median_and_mad(self) -> tuple[float, float]:
        centres = bin_centres()
        median = _weighted_median(centres, self.histogram)
        return median, _weighted_median(np.abs(centres - median), self.histogram)


def bin_centres() -> NDArray[np.float64]:
    """dz at the centre of each bin, float64 (BINS,)."""
    centres: NDArray[np.float64] = KNEE * np.sinh((np.arange(BINS) + 0.5) * STEP - REACH)
    return centres


def bin_width(dz: float) -> float:
    """Width in dz of the bin at `dz`: the error of a median found there is no larger."""
    return STEP * float(np.hypot(dz, KNEE))


def _weighted_median(values: NDArray[np.float64], weights: NDArray[np.int64]) -> float:
    order = np.argsort(values, kind="stable")
    below = np.cumsum(weights[order])
    total = int(below[-1])
    low, high = np.searchsorted(below, [(total - 1) // 2 + 1, total // 2 + 1])
    return float((values[order[low]] + values[order[high]]) / 2)


def disagreements(reduced: dict[str, Any], exact: dict[str, Any]) -> list[str]:
    """Compare what FMI reduced with what the merged catalogue gives.

    Args:
        reduced: `Statistics.summary` after the allreduce.
        exact: `metrics.photo_z_metrics` of the catalogue.

    Returns:
        A sentence for each metric that differs by more than its stated error: 1e-9 relative for
        sums, two bin widths for the median, four for sigma_NMAD.
    """
    if reduced["n"] != exact["n"]:
        return [f"n is {reduced['n']} over FMI and {exact['n']} in the catalogue"]
    if exact["n"] == 0:
        return []
    median, sigma = exact["rail"]["bias_median"], exact["sigma_nmad"]
    width = bin_width(abs(median) + sigma)
    pairs: list[tuple[str, float | None, float]] = [
        ("mae", exact["mae"], 1e-9 * exact["mae"] + 1e-15),
        ("rmse", exact["rmse"], 1e-9 * exact["rmse"] + 1e-15),
        ("bias_mean", exact["pasquet"]["bias_mean"], 1e-9 * exact["mae"] + 1e-15),
        ("r2", exact["r2"], 1e-9),
        ("outliers_0.05", exact["pasquet"]["outliers_0.05"], 0.0),
        ("outliers_0.15", exact["pasquet"]["outliers_0.15"], 0.0),
        ("bias_median", median, 2 * width),
        ("sigma_nmad", sigma, 4 * width),
    ]
    return [
        f"{name} is {reduced[name]!r} over FMI and {value!r} in the catalogue"
        for name, value, error in pairs
        if (reduced[name] is None) != (value is None)
        or (value is not None and not abs(reduced[name] - value) <= error)
    ]
