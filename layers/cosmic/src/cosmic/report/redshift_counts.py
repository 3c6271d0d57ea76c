"""The page's histograms of redshifts that come in blocks and are not kept.

Up to `EXACT_ROWS` rows are kept, and binned as `bin_redshifts` does. More are counted in fine
cells, which are put together when the limits are known: in z along edges of the fine cells, in dz
each fine cell where its middle lies. Every object is counted once either way.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cosmic.contracts.plausible import plausible_redshifts
from cosmic.metrics.distribution import OCTAVES, cells_of, lower_edges
from cosmic.metrics.photo_z import EXACT_ROWS, comparable, residuals
from cosmic.report.histograms import (
    BARS,
    CELLS,
    DZ_CELLS,
    OUTSIDE_SHARE,
    Binned,
    Counts,
    Floats,
    bin_redshifts,
    binned,
    dz_reach,
)

DZ_BITS = 6
FINE = (  # up to a redshift, cells of this width: powers of two, each a multiple of that before
    (1.0, 2.0**-9),
    (4.0, 2.0**-7),
    (20.0, 2.0**-5),
)
LOWEST = -1.0


def _fine_edges() -> NDArray[np.float64]:
    """Edges of the fine cells in z."""
    starts = (LOWEST, *(end for end, _ in FINE[:-1]))
    parts = [np.arange(start, end, width) for start, (end, width) in zip(starts, FINE, strict=True)]
    return np.append(np.concatenate(parts), FINE[-1][0])


Z_FINE = _fine_edges()
DZ_FINE = lower_edges(np.arange((2 * OCTAVES << DZ_BITS) + 1), DZ_BITS)
DZ_MIDDLES = (DZ_FINE[1:] + DZ_FINE[:-1]) / 2


class RedshiftCounts:
    """Counts of redshifts; about 30 MB once there are many rows."""

    def __init__(self) -> None:
        self.rows = 0
        self._kept: list[Floats] = []
        self._fine: _Fine | None = None

    def see(self, z_phot: Floats, z_spec: Floats) -> None:
        """Take in more rows (N,); NaN where there is none."""
        self.rows += len(z_phot)
        self._kept.append(np.stack([z_phot, z_spec]))
        if self.rows > EXACT_ROWS:
            self._fine = self._fine or _Fine()
            for phot, spec in self._kept:
                self._fine.add(phot.astype(np.float64), spec.astype(np.float64))
            self._kept = []

    def binned(self, *, bias: float = 0.0, sigma: float = 0.01) -> Binned:
        """The histograms; see `bin_redshifts`."""
        if self._fine is None:
            return bin_redshifts(self._kept, bias=bias, sigma=sigma)
        return self._fine.binned(self.rows, bias, sigma)


class _Fine:
    """Fine counts; what lies beyond the edges in z is in the first or the last row or column."""

    def __init__(self) -> None:
        many = len(Z_FINE) + 1
        self._phot, self._spec = np.zeros(many, np.int64), np.zeros(many, np.int64)
        self._pairs = np.zeros((many, many), np.uint32)
        self._dz = np.zeros((many, 2 * OCTAVES << DZ_BITS), np.uint32)

    def add(self, phot: NDArray[np.float64], spec: NDArray[np.float64]) -> None:
        """Count rows."""
        both = comparable(phot, spec)
        of_phot, of_spec = _z_cells(phot), _z_cells(spec)
        self._phot += np.bincount(of_phot[np.isfinite(phot)], minlength=len(self._phot))
        self._spec += np.bincount(of_spec[plausible_redshifts(spec)], minlength=len(self._spec))
        of_dz = cells_of(residuals(phot[both], spec[both]), DZ_BITS)
        for table, inner in ((self._pairs, of_phot[both]), (self._dz, of_dz)):
            np.add.at(table.reshape(-1), of_spec[both] * table.shape[1] + inner, np.uint32(1))

    def binned(self, rows: int, bias: float, sigma: float) -> Binned:
        """Put together what the page shows."""
        z_edges = self._limits()
        reach = dz_reach(bias, sigma)
        dz_edges = np.linspace(bias - reach, bias + reach, DZ_CELLS + 1)
        residual_edges = np.linspace(bias - reach, bias + reach, BARS + 1)
        at_z = np.searchsorted(Z_FINE, z_edges) + 1
        density = _joined(_joined(self._pairs, at_z).T, at_z).T
        residual_counts = self._dz.sum(axis=0, dtype=np.int64)
        bars = _joined(residual_counts, np.searchsorted(DZ_MIDDLES, residual_edges))
        at_dz = np.searchsorted(DZ_MIDDLES, dz_edges)
        of_dz = _joined(_joined(self._dz, at_z).T, at_dz).T
        known = int(residual_counts.sum())
        edges = (z_edges, dz_edges, residual_edges, z_edges)
        n_phot, n_spec = _joined(self._phot, at_z), _joined(self._spec, at_z)
        return binned(rows, known, edges, density, of_dz, bars, n_phot, n_spec)

    def _limits(self) -> NDArray[np.float64]:
        """Edges from 0, or less where there is less, to where all but a few objects lie.

        Each is an edge of fine cells too: the widest that are crossed give the step.
        """
        seen = np.cumsum(self._phot + self._spec)
        if not seen[-1]:
            return np.linspace(0.0, 1.75, CELLS + 1)
        share = seen / seen[-1]
        last = len(Z_FINE) - 1
        before, after = np.searchsorted(share, [OUTSIDE_SHARE, 1 - OUTSIDE_SHARE]).tolist()
        low, high = Z_FINE[max(0, before - 1)], 1.05 * Z_FINE[min(last, after)]
        for end, unit in FINE:
            start = np.floor(min(low, 0.0) / unit) * unit
            step = unit * max(1.0, np.ceil((high - start) / (CELLS * unit)))
            if start + CELLS * step <= end:
                break
        edges: NDArray[np.float64] = start + step * np.arange(CELLS + 1)
        return edges


def _z_cells(z: NDArray[np.float64]) -> NDArray[np.int64]:
    """The fine cell of each redshift, from 1; 0 and the last lie outside, NaN with the last."""
    cells = np.full(len(z), len(Z_FINE), np.int64)
    start, before = LOWEST, 1
    for end, width in FINE:
        inside = (z >= start) & (z < end)
        cells[inside] = before + ((z[inside] - start) / width).astype(np.int64)
        before += round((end - start) / width)
        start = end
    cells[z < LOWEST] = 0
    return cells


def _joined(counts: NDArray[np.integer[Any]], at: Counts) -> Counts:
    """Sums of the rows (or numbers) of counts from each of these places up to the next."""
    return np.stack([counts[a:b].sum(axis=0, dtype=np.int64) for a, b in pairwise(at)])
