"""How good redshifts are, in the conventions of AstroMAE and Pasquet et al. 2019."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Scores:
    """With dz = (z_phot - z_spec) / (1 + z_spec).

    Attributes:
        n: Objects.
        sigma_nmad: 1.4826 times the median absolute deviation of dz from its median.
        r2: 1 - sum (z_phot - z_spec)² / sum (z_spec - mean)²; depends on the sample's own spread.
        bias: Mean of dz.
        outliers_005: Share of |dz| > 0.05.
        outliers_015: Share of |dz| > 0.15.
        coverage_68: Share of |z_phot - z_spec| < z_phot_err; 0.68 if the errors are right.
    """

    n: int
    sigma_nmad: float
    r2: float
    bias: float
    outliers_005: float
    outliers_015: float
    coverage_68: float

    def as_dict(self) -> dict[str, float]:
        """The scores by name, rounded to six decimals."""
        return {name: round(value, 6) for name, value in asdict(self).items()}


def score(
    z_phot: NDArray[np.float32], z_phot_err: NDArray[np.float32], z_spec: NDArray[np.float32]
) -> Scores:
    """Compare redshifts (N,) with the spectroscopic ones; all have to be finite."""
    phot, spec = z_phot.astype(np.float64), z_spec.astype(np.float64)
    residual = phot - spec
    dz = residual / (1.0 + spec)
    return Scores(
        n=len(dz),
        sigma_nmad=float(1.4826 * np.median(np.abs(dz - np.median(dz)))),
        r2=float(1.0 - np.sum(residual**2) / np.sum((spec - spec.mean()) ** 2)),
        bias=float(dz.mean()),
        outliers_005=float(np.mean(np.abs(dz) > 0.05)),
        outliers_015=float(np.mean(np.abs(dz) > 0.15)),
        coverage_68=float(np.mean(np.abs(residual) < z_phot_err)),
    )
