"""Metrics of photometric redshifts, in both of the field's conventions.

dz = (z_phot - z_spec) / (1 + z_spec). *Pasquet* (Pasquet et al. 2019, sec. 4; used by AstroMAE,
arXiv 2409.01825): bias is the mean of dz, outliers lie beyond fixed limits. *RAIL* (the LSST DESC's
photo-z toolkit): bias is the median, the outlier limit follows the width.

A row takes part if it has a prediction and a z_spec that can be one (`plausible`); metrics say how
many don't. A metric that isn't defined is None.

Rows come in blocks and are not kept. Sums and counts are exact but for rounding; quantiles are
exact up to `EXACT_ROWS` rows (`EXACT_ROWS_BINNED` in a bin) and have the bounds that `distribution`
states beyond.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cosmic.contracts.plausible import plausible_redshifts
from cosmic.metrics.distribution import Distribution

MAD_TO_SIGMA = 1.4826
PASQUET_MAD_TO_SIGMA = 1.48
IQR_TO_SIGMA = 1 / 1.349
OUTLIERS_AT = (0.05, 0.15)
BIN_MINIMUM = 10
EXACT_ROWS, BITS = 65_536, 15
EXACT_ROWS_BINNED, BITS_BINNED = 8_192, 11

Z_EDGES = np.array([0.0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.5, 0.7, 1.0, 1.5, 2.0, 3.0])
MAG_R_EDGES = np.arange(12.0, 26.0, 1.0)

Floats = NDArray[np.floating[Any]]
Doubles = NDArray[np.float64]


def comparable(z_phot: Floats, z_spec: Floats) -> NDArray[np.bool_]:
    """Which rows (N,) take part in metrics: a finite z_phot and a plausible z_spec."""
    both: NDArray[np.bool_] = np.isfinite(z_phot) & plausible_redshifts(z_spec)
    return both


def residuals(z_phot: Floats, z_spec: Floats) -> NDArray[np.float64]:
    """dz = (z_phot - z_spec) / (1 + z_spec), float64 (N,)."""
    spec = z_spec.astype(np.float64)
    dz: NDArray[np.float64] = (z_phot.astype(np.float64) - spec) / (1 + spec)
    return dz


def implausible(z_phot: Floats, z_spec: Floats) -> int:
    """How many rows (N,) have a prediction and a z_spec that can be none, such as -9."""
    known = np.isfinite(z_phot) & ~np.isnan(z_spec)
    return int(np.count_nonzero(known & ~plausible_redshifts(z_spec)))


def photo_z_metrics(z_phot: Floats, z_spec: Floats, mag_r: Floats) -> dict[str, Any]:
    """All metrics of rows that are there at once: see `PhotoZ`."""
    seen = PhotoZ()
    seen.see(z_phot, z_spec, mag_r)
    return seen.metrics()


class PhotoZ:
    """The metrics of rows that come in blocks."""

    def __init__(self) -> None:
        self._left_out = dict.fromkeys(("no_prediction", "no_z_spec", "implausible_z_spec"), 0)
        self._sums = Sums()
        self._dz = Distribution(BITS, EXACT_ROWS)
        self._bins = {
            "z_spec": Bins(Z_EDGES),
            "z_phot": Bins(Z_EDGES),
            "mag_r": Bins(MAG_R_EDGES),
        }

    def see(self, z_phot: Floats, z_spec: Floats, mag_r: Floats) -> None:
        """Take in more rows.

        Args:
            z_phot: Photometric redshifts (N,) float32; a sum of squares of these can't overflow.
            z_spec: Spectroscopic redshifts (N,) float32.
            mag_r: r magnitudes (N,), for the bins; NaN where missing.
        """
        self._count_left_out(z_phot, z_spec)
        compared = comparable(z_phot, z_spec)
        if not compared.any():
            return
        z_phot, z_spec, mag_r = z_phot[compared], z_spec[compared], mag_r[compared]
        dz = residuals(z_phot, z_spec)
        self._sums.add(dz, z_phot.astype(np.float64), z_spec.astype(np.float64))
        self._dz.add(dz)
        for bins, by in zip(self._bins.values(), (z_spec, z_phot, mag_r), strict=True):
            bins.add(dz, by)

    def _count_left_out(self, z_phot: Floats, z_spec: Floats) -> None:
        """Rows that have no part in the metrics, each counted under the first reason it has."""
        predicted, known = np.isfinite(z_phot), ~np.isnan(z_spec)
        reasons = {
            "no_prediction": ~predicted,
            "no_z_spec": predicted & ~known,
        }
        for reason, rows in reasons.items():
            self._left_out[reason] += int(np.count_nonzero(rows))
        self._left_out["implausible_z_spec"] += implausible(z_phot, z_spec)

    def metrics(self, dropped: int = 0) -> dict[str, Any]:
        """A JSON object; `n` and `left_out` alone where no row has both redshifts.

        Args:
            dropped: Of the rows with a prediction and no z_spec, those whose z_spec was implausible
                and is therefore gone.
        """
        left_out = dict(self._left_out)
        dropped = min(dropped, left_out["no_z_spec"])
        left_out["no_z_spec"] -= dropped
        left_out["implausible_z_spec"] += dropped
        if not self._dz.n:
            return {"n": 0, "left_out": left_out}
        return {
            **overall(self._sums, self._dz),
            "left_out": left_out,
            "bins": {name: list(bins.metrics()) for name, bins in self._bins.items()},
        }


@dataclass
class Sums:
    """What adds up over blocks; the spread of z_spec about its mean as Chan et al. merge it.

    Chan, Golub & LeVeque 1983, Am. Stat. 37, 242: a difference of sums of squares would cancel.
    """

    n: int = 0
    dz: float = 0.0
    abs_error: float = 0.0
    squared_error: float = 0.0
    beyond: Doubles = field(default_factory=lambda: np.zeros(len(OUTLIERS_AT)))
    mean: float = 0.0
    spread: float = 0.0
    least: float = np.inf
    most: float = -np.inf

    def add(self, dz: Doubles, z_phot: Doubles, z_spec: Doubles) -> None:
        """Add a block (N,), N > 0."""
        error, n, mean = z_phot - z_spec, len(dz), float(z_spec.mean())
        apart, both = mean - self.mean, self.n + n
        self.spread += float(np.sum((z_spec - mean) ** 2)) + apart**2 * self.n * n / both
        self.mean, self.n = self.mean + apart * n / both, both
        self.dz += float(dz.sum())
        self.abs_error += float(np.abs(error).sum())
        self.squared_error += float((error**2).sum())
        self.beyond += [np.count_nonzero(np.abs(dz) > at) for at in OUTLIERS_AT]
        self.least = min(self.least, float(z_spec.min()))
        self.most = max(self.most, float(z_spec.max()))


def overall(sums: Sums, residual: Distribution) -> dict[str, Any]:
    """The metrics of one sample, N > 0."""
    constant, n = sums.least == sums.most, sums.n  # the sum of squares may not round to 0
    dz = residual.sample()
    lower, median, upper = (float(q) for q in dz.quantiles([0.25, 0.5, 0.75]))
    mad, sigma_iqr = dz.distances(median).median(), (upper - lower) * IQR_TO_SIGMA
    mse = sums.squared_error / n
    return {
        "n": n,
        "sigma_nmad": MAD_TO_SIGMA * mad,
        "mae": sums.abs_error / n,
        "mse": mse,
        "rmse": float(np.sqrt(mse)),
        "r2": None if constant else 1 - sums.squared_error / sums.spread,
        "undefined": {"r2": "all z_spec are equal"} if constant else {},
        "pasquet": {
            "bias_mean": sums.dz / n,
            "precision": PASQUET_MAD_TO_SIGMA * mad,
            **{
                f"outliers_{at:g}": float(count) / n
                for at, count in zip(OUTLIERS_AT, sums.beyond, strict=True)
            },
        },
        "rail": {
            "bias_median": median,
            "sigma_mad": MAD_TO_SIGMA * mad,
            "sigma_iqr": sigma_iqr,
            "outliers": dz.beyond(max(0.06, 3 * sigma_iqr)),
        },
    }


class Bins:
    """Bias, sigma_NMAD and outlier rate of dz in bins of something else.

    Args:
        edges: Of the bins, ascending.
    """

    def __init__(self, edges: Floats) -> None:
        self._edges = edges
        self._dz = [Distribution(BITS_BINNED, EXACT_ROWS_BINNED) for _ in edges[1:]]
        self._outliers = np.zeros(len(edges) - 1, np.int64)
        self._sums = np.zeros(len(edges) - 1)

    def add(self, dz: Doubles, by: Floats) -> None:
        """Add dz (N,) to the bins that `by` (N,) says; what is beyond the edges has none."""
        which = np.digitize(by, self._edges)
        inside = slice(1, len(self._edges))
        self._sums += np.bincount(which, by, len(self._edges) + 1)[inside]
        for i, rows in enumerate(np.bincount(which)[inside]):
            if rows:
                part = dz[which == i + 1]
                self._dz[i].add(part)
                self._outliers[i] += np.count_nonzero(np.abs(part) > OUTLIERS_AT[0])

    def metrics(self) -> Iterator[dict[str, Any]]:
        """One object a bin, with standard errors; empty bins are left out.

        `mean` is that of what the bins are of, such as z_spec, over the bin's rows. Bins with fewer
        than `BIN_MINIMUM` rows have no metrics.
        """
        for i, residual in enumerate(self._dz):
            if residual.n:
                low, high = (float(edge) for edge in self._edges[i : i + 2])
                mean = min(max(low, float(self._sums[i]) / residual.n), high)  # sums are rounded
                size = {"from": low, "to": high, "mean": mean, "n": residual.n}
                yield {**size, **_bin(residual, int(self._outliers[i]))}


def _bin(residual: Distribution, outliers: int) -> dict[str, float]:
    """The outlier rate is binomial; for the other errors see `distribution`."""
    n = residual.n
    if n < BIN_MINIMUM:
        return {}
    dz, share = residual.sample(), outliers / n
    median = dz.median()
    distances = dz.distances(median)
    return {
        "bias_median": median,
        "bias_median_err": dz.median_error(),
        "sigma_nmad": MAD_TO_SIGMA * distances.median(),
        "sigma_nmad_err": MAD_TO_SIGMA * dz.mad_error(median, distances),
        f"outliers_{OUTLIERS_AT[0]:g}": share,
        f"outliers_{OUTLIERS_AT[0]:g}_err": float(np.sqrt(share * (1 - share) / n)),
    }
