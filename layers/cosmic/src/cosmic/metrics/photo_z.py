"""Metrics of photometric redshifts, in both of the field's conventions.

dz = (z_phot - z_spec) / (1 + z_spec). *Pasquet* (Pasquet et al. 2019, sec. 4; used by AstroMAE,
arXiv 2409.01825): bias is the mean of dz, outliers lie beyond fixed limits. *RAIL* (the LSST DESC's
photo-z toolkit): bias is the median, the outlier limit follows the width.

A row takes part if it has a prediction and a z_spec that can be one (`plausible`); metrics say how
many don't. A metric that isn't defined is None.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cosmic.contracts.plausible import plausible_redshifts

MAD_TO_SIGMA = 1.4826
PASQUET_MAD_TO_SIGMA = 1.48
IQR_TO_SIGMA = 1 / 1.349
OUTLIERS_AT = (0.05, 0.15)
BOOTSTRAPS = 100
BIN_MINIMUM = 10

Z_EDGES = np.array([0.0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.5, 0.7, 1.0, 1.5, 2.0, 3.0])
MAG_R_EDGES = np.arange(12.0, 26.0, 1.0)

Floats = NDArray[np.floating[Any]]


def comparable(z_phot: Floats, z_spec: Floats) -> NDArray[np.bool_]:
    """Which rows (N,) take part in metrics: a finite z_phot and a plausible z_spec."""
    both: NDArray[np.bool_] = np.isfinite(z_phot) & plausible_redshifts(z_spec)
    return both


def residuals(z_phot: Floats, z_spec: Floats) -> NDArray[np.float64]:
    """dz = (z_phot - z_spec) / (1 + z_spec), float64 (N,)."""
    spec = z_spec.astype(np.float64)
    dz: NDArray[np.float64] = (z_phot.astype(np.float64) - spec) / (1 + spec)
    return dz


def sigma_nmad(dz: Floats) -> float:
    """Normalised median absolute deviation about the median: 1.4826 MAD; NaN for no rows."""
    if not len(dz):
        return float("nan")
    return float(MAD_TO_SIGMA * np.median(np.abs(dz - np.median(dz))))


def implausible(z_phot: Floats, z_spec: Floats) -> int:
    """How many rows (N,) have a prediction and a z_spec that can be none, such as -9."""
    known = np.isfinite(z_phot) & ~np.isnan(z_spec)
    return int(np.count_nonzero(known & ~plausible_redshifts(z_spec)))


def photo_z_metrics(
    z_phot: Floats, z_spec: Floats, mag_r: Floats, *, dropped: int = 0
) -> dict[str, Any]:
    """All metrics of the rows that have both redshifts.

    Args:
        z_phot: Photometric redshifts (N,) float32; a sum of squares of these can't overflow.
        z_spec: Spectroscopic redshifts (N,) float32.
        mag_r: r magnitudes (N,), for the bins; NaN where missing.
        dropped: Of the rows with a prediction and no z_spec, those whose z_spec was implausible
            and is therefore gone.

    Returns:
        A JSON object; `n` and `left_out` alone where no row has both redshifts.
    """
    left_out = _left_out(z_phot, z_spec, dropped)
    compared = comparable(z_phot, z_spec)
    z_phot, z_spec, mag_r = z_phot[compared], z_spec[compared], mag_r[compared]
    if not len(z_phot):
        return {"n": 0, "left_out": left_out}
    dz = residuals(z_phot, z_spec)
    return {
        **overall(dz, z_phot.astype(np.float64), z_spec.astype(np.float64)),
        "left_out": left_out,
        "bins": {
            "z_spec": binned(dz, z_spec, Z_EDGES),
            "z_phot": binned(dz, z_phot, Z_EDGES),
            "mag_r": binned(dz, mag_r, MAG_R_EDGES),
        },
    }


def _left_out(z_phot: Floats, z_spec: Floats, dropped: int) -> dict[str, int]:
    """How many rows have no part in the metrics, each counted under the first reason it has."""
    predicted, unknown = np.isfinite(z_phot), np.isnan(z_spec)
    gone = int(np.count_nonzero(predicted & unknown))
    dropped = min(dropped, gone)
    return {
        "no_prediction": int(np.count_nonzero(~predicted)),
        "no_z_spec": gone - dropped,
        "implausible_z_spec": implausible(z_phot, z_spec) + dropped,
    }


def overall(
    dz: NDArray[np.float64], z_phot: NDArray[np.float64], z_spec: NDArray[np.float64]
) -> dict[str, Any]:
    """The metrics of one sample, N > 0."""
    error = z_phot - z_spec
    constant = bool(z_spec.min() == z_spec.max())  # the sum of squares may not round to 0
    spread = float(np.sum((z_spec - z_spec.mean()) ** 2))
    mad = float(np.median(np.abs(dz - np.median(dz))))
    sigma_iqr = float(np.subtract(*np.percentile(dz, [75, 25])) * IQR_TO_SIGMA)
    return {
        "n": len(dz),
        "sigma_nmad": MAD_TO_SIGMA * mad,
        "mae": float(np.abs(error).mean()),
        "mse": float((error**2).mean()),
        "rmse": float(np.sqrt((error**2).mean())),
        "r2": None if constant else 1 - float(np.sum(error**2)) / spread,
        "undefined": {"r2": "all z_spec are equal"} if constant else {},
        "pasquet": {
            "bias_mean": float(dz.mean()),
            "precision": PASQUET_MAD_TO_SIGMA * mad,
            **{f"outliers_{at:g}": float((np.abs(dz) > at).mean()) for at in OUTLIERS_AT},
        },
        "rail": {
            "bias_median": float(np.median(dz)),
            "sigma_mad": MAD_TO_SIGMA * mad,
            "sigma_iqr": sigma_iqr,
            "outliers": float((np.abs(dz) > max(0.06, 3 * sigma_iqr)).mean()),
        },
    }


def binned(dz: NDArray[np.float64], by: Floats, edges: Floats) -> list[dict[str, Any]]:
    """Bias, sigma_NMAD and outlier rate in bins, with bootstrap errors from a fixed seed.

    Bins with fewer than `BIN_MINIMUM` rows say their N alone; empty ones are left out.
    """
    rows = []
    which = np.digitize(by, edges) - 1
    for i in range(len(edges) - 1):
        part = dz[which == i]
        if len(part):
            rows.append({"from": float(edges[i]), "to": float(edges[i + 1]), **_bin(part)})
    return rows


def _bin(dz: NDArray[np.float64]) -> dict[str, Any]:
    if len(dz) < BIN_MINIMUM:
        return {"n": len(dz)}
    draws = np.random.default_rng(0)
    resampled = [dz[draws.integers(0, len(dz), len(dz))] for _ in range(BOOTSTRAPS)]
    columns = {
        "bias_median": [float(np.median(s)) for s in (dz, *resampled)],
        "sigma_nmad": [sigma_nmad(s) for s in (dz, *resampled)],
        "outliers_0.05": [float((np.abs(s) > 0.05).mean()) for s in (dz, *resampled)],
    }
    named: dict[str, Any] = {"n": len(dz)}
    for name, values in columns.items():
        named[name] = values[0]
        named[f"{name}_err"] = float(np.std(values[1:]))
    return named
