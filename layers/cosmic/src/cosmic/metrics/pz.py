"""How well p(z) holds: probability integral transform, coverage, CRPS, CDE loss.

p(z) is read from its quantiles as RAIL's and qp's piecewise-linear form does: the cumulative
distribution is linear between them, and its first and last slopes go on to 0 and 1.

- PIT: the cumulative distribution at z_spec; uniform if p(z) is calibrated (Dawid 1984, JRSS A 147,
  278; Polsterer, D'Isanto & Gieseke 2016, arXiv 1608.08016, for redshifts). It is counted between
  the quantiles, where no form of p(z) between them matters.
- Coverage: share of objects inside a central interval.
- CRPS: integral of the squared difference of the cumulative distribution from the step at z_spec
  (Gneiting & Raftery 2007, JASA 102, 359, section 4.2); in redshift, less is better.
- CDE loss: mean of the integral of p squared, less twice p at z_spec (Izbicki & Lee 2017, EJS 11,
  2800; Malz et al. 2018, AJ 156, 35, for redshifts); less is better.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cosmic.contracts.plausible import plausible_redshifts
from cosmic.contracts.quantiles import QUANTILES

INTERVALS = {"68": ("z_q16", "z_q84"), "90": ("z_q05", "z_q95"), "95": ("z_q025", "z_q975")}
PIT_EDGES = (0.0, *QUANTILES.values(), 1.0)
BLOCK_ROWS = 4_096  # seen at once: what is computed of them stays in the processor's cache
NARROWEST = 1e-6  # of a piece between two quantiles, in redshift: equal ones have no density

Float = NDArray[np.float64]


@dataclass
class PzStatistics:
    """What was counted of rows that have quantiles of p(z) and a plausible z_spec.

    Attributes:
        known: Rows with quantiles, whether or not they have a z_spec.
        n: Rows that count for everything else.
    """

    known: int = 0
    n: int = 0
    inside: dict[str, int] = field(default_factory=lambda: dict.fromkeys(INTERVALS, 0))
    pit: NDArray[np.int64] = field(default_factory=lambda: np.zeros(len(QUANTILES) + 1, np.int64))
    crps: float = 0.0
    cde_loss: float = 0.0

    def see(self, quantiles: NDArray[np.floating[Any]], z_spec: NDArray[Any]) -> None:
        """Count N rows.

        Args:
            quantiles: (N, 9), by `QUANTILES`; NaN where unknown.
            z_spec: (N,); NaN where unknown.
        """
        for start in range(0, len(z_spec), BLOCK_ROWS):
            block = slice(start, start + BLOCK_ROWS)
            self._see(quantiles[block], z_spec[block])

    def _see(self, quantiles: NDArray[np.floating[Any]], z_spec: NDArray[Any]) -> None:
        known = np.isfinite(quantiles).all(axis=1)
        self.known += int(known.sum())
        chosen = known & plausible_redshifts(z_spec)
        if not chosen.any():
            return
        q, z = quantiles[chosen].astype(np.float64), z_spec[chosen].astype(np.float64)
        self.n += len(z)
        for name in INTERVALS:
            self.inside[name] += int(within(name, q, z).sum())
        pieces = Pieces.of(q)
        self.pit += np.bincount((q < z[:, None]).sum(axis=1), minlength=len(self.pit))
        self.crps += float(pieces.crps(z).sum())
        self.cde_loss += float(pieces.cde_losses(z).sum())

    def metrics(self) -> dict[str, Any]:
        """`pz` of metrics.json; without rows that have both, how many have p(z), alone."""
        if not self.n:
            return {"known": self.known, "n": 0}
        return {
            "known": self.known,
            "n": self.n,
            "coverage": {name: count / self.n for name, count in self.inside.items()},
            "pit": {"edges": list(PIT_EDGES), "counts": self.pit.tolist()},
            "crps": self.crps / self.n,
            "cde_loss": self.cde_loss / self.n,
        }


def within(interval: str, quantiles: Float, z_spec: NDArray[Any]) -> NDArray[np.bool_]:
    """Which objects (N,) have their redshift in an interval of `INTERVALS`, ends included."""
    low, high = (list(QUANTILES).index(name) for name in INTERVALS[interval])
    inside: NDArray[np.bool_] = (quantiles[:, low] <= z_spec) & (z_spec <= quantiles[:, high])
    return inside


@dataclass(frozen=True)
class Pieces:
    """N piecewise-linear cumulative distributions.

    Attributes:
        knots: Redshifts (N, K), rising.
        levels: The cumulative probability there (K,), from 0 to 1.
    """

    knots: Float
    levels: Float

    @classmethod
    def of(cls, quantiles: Float) -> Pieces:
        """Of quantiles (N, 9), by `QUANTILES`."""
        levels = np.array(list(QUANTILES.values()))
        slope_low = (quantiles[:, 1] - quantiles[:, 0]) / (levels[1] - levels[0])
        slope_high = (quantiles[:, -1] - quantiles[:, -2]) / (levels[-1] - levels[-2])
        first = quantiles[:, 0] - slope_low * levels[0]
        last = quantiles[:, -1] + slope_high * (1 - levels[-1])
        knots = np.column_stack([first, quantiles, last])
        return cls(knots, np.concatenate([[0.0], levels, [1.0]]))

    @property
    def widths(self) -> Float:
        """Of the pieces (N, K - 1)."""
        widths: Float = np.maximum(np.diff(self.knots, axis=1), NARROWEST)
        return widths

    def crps(self, z: Float) -> Float:
        """The continuous ranked probability score of each (N,), in redshift."""
        low, high = self.knots[:, :-1], self.knots[:, 1:]
        at = np.clip(z[:, None], low, high)
        a, b = self.levels[:-1], self.levels[1:]
        here = a + (b - a) * (at - low) / self.widths
        below = (at - low) * (a * a + a * here + here * here) / 3
        above = (high - at) * ((1 - here) ** 2 + (1 - here) * (1 - b) + (1 - b) ** 2) / 3
        beyond = np.maximum(self.knots[:, 0] - z, 0) + np.maximum(z - self.knots[:, -1], 0)
        score: Float = (below + above).sum(axis=1) + beyond
        return score

    def cde_losses(self, z: Float) -> Float:
        """The loss of each (N,): the integral of p squared, less 2 p(z)."""
        density = np.diff(self.levels) / self.widths
        there = (self.knots[:, :-1] <= z[:, None]) & (z[:, None] < self.knots[:, 1:])
        square = (density**2 * self.widths).sum(axis=1)
        losses: Float = square - 2 * np.where(there, density, 0.0).sum(axis=1)
        return losses
