"""Sufficient statistics of the metrics: what ranks add up instead of moving every redshift.

They check that what travelled over FMI is what the catalogue holds. So what is compared is what
was summed, each sum with the rounding that summation allows, and never a metric: a ratio such as
R² can lose all its digits on data that are perfectly good.

Every summand is made by single IEEE 754 operations of the same two float32 numbers, and each bin
by integer arithmetic on its bits: all processors agree on them to the last bit, and only the order
of the summation differs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cosmic.metrics.distribution import OCTAVES, cells_of
from cosmic.metrics.photo_z import OUTLIERS_AT, Floats, comparable, residuals

COUNTS = ("n", "out_0", "out_1")
MAGNITUDE = {
    "dz": "abs_dz",
    "abs_dz": "abs_dz",
    "abs_error": "abs_error",
    "squared_error": "squared_error",
    "z_spec": "abs_z_spec",
    "abs_z_spec": "abs_z_spec",
    "squared_z_spec": "squared_z_spec",
}
SUMS = (*COUNTS, *MAGNITUDE)

UNIT_ROUNDOFF = 2.0**-53
BITS_PER_OCTAVE = 8
BINS = 2 * OCTAVES << BITS_PER_OCTAVE


@dataclass(frozen=True)
class Statistics:
    """Additive statistics of rows that have a prediction and a plausible z_spec.

    Attributes:
        sums: float64 (10,), named by `SUMS`: counts, and the sums of which `MAGNITUDE` names the
            sum of absolute values.
        histogram: int64 (BINS,), of dz. Bins are 2**-8 of |dz| + 2**-10 wide or less; what lies
            beyond +-16 counts in the outermost.
    """

    sums: NDArray[np.float64]
    histogram: NDArray[np.int64]

    @classmethod
    def none(cls) -> Statistics:
        """Statistics of no rows: the neutral element."""
        return cls(np.zeros(len(SUMS)), np.zeros(BINS, np.int64))

    @classmethod
    def of(cls, z_phot: Floats, z_spec: Floats) -> Statistics:
        """Statistics of rows (N,) float32; those without both redshifts do not count."""
        compared = comparable(z_phot, z_spec)
        dz = residuals(z_phot[compared], z_spec[compared])
        spec = z_spec[compared].astype(np.float64)
        error = z_phot[compared].astype(np.float64) - spec
        sums = {
            "n": len(dz),
            **{f"out_{i}": (np.abs(dz) > at).sum() for i, at in enumerate(OUTLIERS_AT)},
            "dz": dz.sum(),
            "abs_dz": np.abs(dz).sum(),
            "abs_error": np.abs(error).sum(),
            "squared_error": (error * error).sum(),
            "z_spec": spec.sum(),
            "abs_z_spec": np.abs(spec).sum(),
            "squared_z_spec": (spec * spec).sum(),
        }
        histogram = np.bincount(cells_of(dz, BITS_PER_OCTAVE), minlength=BINS).astype(np.int64)
        return cls(np.array([sums[name] for name in SUMS], np.float64), histogram)

    def __add__(self, other: Statistics) -> Statistics:
        return Statistics(self.sums + other.sums, self.histogram + other.histogram)

    def named(self) -> dict[str, float]:
        """The sums by their names."""
        return dict(zip(SUMS, self.sums.tolist(), strict=True))

    def counts(self) -> dict[int, int]:
        """The histogram's bins that hold anything, by their numbers."""
        return {int(i): int(self.histogram[i]) for i in np.flatnonzero(self.histogram)}

    @classmethod
    def restored(cls, named: Mapping[str, float], counts: Mapping[int, int]) -> Statistics:
        """What `named` and `counts` are of.

        Raises:
            KeyError: a sum is missing.
            IndexError: there is no such bin.
        """
        histogram = np.zeros(BINS, np.int64)
        for i, count in counts.items():
            histogram[i] = count
        return cls(np.array([named[name] for name in SUMS], np.float64), histogram)


def summation_bound(n: int, magnitude: float) -> float:
    """How far two sums of the same n numbers can lie apart, each summed in any order.

    A computed sum is off by at most gamma(n - 1) times the sum of absolute values, where
    gamma(k) = k u / (1 - k u) and u is the unit roundoff (Higham, Accuracy and Stability of
    Numerical Algorithms, 2nd ed. 2002, sec. 4.2). Two sums may err in opposite directions, and the
    sum of absolute values itself is too small by gamma(n - 1) at most: all in all gamma(2 (n - 1)).

    Args:
        magnitude: The sum of absolute values, as computed.
    """
    k_u = 2 * max(n - 1, 0) * UNIT_ROUNDOFF
    return k_u / (1 - k_u) * magnitude


def disagreements(reduced: Statistics, exact: Statistics) -> list[str]:
    """Compare what FMI reduced with what the merged catalogue gives.

    Returns:
        A sentence for each count that differs, and for each sum that differs by more than
        `summation_bound`. Rounding alone never causes one.
    """
    over_fmi, here = reduced.named(), exact.named()
    wrong = [
        f"{name} is {over_fmi[name]:.0f} over FMI and {here[name]:.0f} in the catalogue"
        for name in COUNTS
        if over_fmi[name] != here[name]
    ]
    if wrong:
        return wrong
    for name, magnitude in MAGNITUDE.items():
        bound = summation_bound(int(here["n"]), here[magnitude])
        if not abs(over_fmi[name] - here[name]) <= bound:
            wrong.append(
                f"the sum of {name} is {over_fmi[name]!r} over FMI and {here[name]!r} in the "
                f"catalogue; rounding explains {bound:.1e}"
            )
    moved = int(np.abs(reduced.histogram - exact.histogram).sum()) // 2
    if moved:
        wrong.append(f"{moved} values of dz lie in other bins over FMI than in the catalogue")
    return wrong
