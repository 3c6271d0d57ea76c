"""Redshifts of any number of objects, reduced to histograms of a fixed size."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cosmic.contracts.contract import Contract
from cosmic.contracts.plausible import plausible_redshifts
from cosmic.metrics.photo_z import comparable, residuals

BLOCK_ROWS = 65_536
CELLS = 56
DZ_CELLS = 28
BARS = 80
NZ_BARS = 60
DZ_SIGMAS = 6.0
SCOUT_EDGES = np.linspace(-1.0, 20.0, 4201)
OUTSIDE_SHARE = 1e-3

Floats = NDArray[np.floating[Any]]
Counts = NDArray[np.int64]


class Binned(Contract):
    """Histograms of one catalogue; all counts are of objects.

    Attributes:
        rows: Objects seen.
        known: Objects with both redshifts.
        z_edges: Edges of the cells of `density` in both directions, `CELLS` + 1.
        density: Counts by z_spec (outer) and z_phot (inner).
        density_outside: Objects with both redshifts beyond `z_edges`.
        dz_edges: Edges of `dz_density` in dz, `DZ_CELLS` + 1.
        dz_density: Counts by z_spec (outer, `z_edges`) and dz (inner).
        residual_edges: Edges of `residuals`, `BARS` + 1.
        residuals: Counts by dz.
        residuals_outside: Objects with both redshifts beyond `residual_edges`.
        nz_edges: Edges of `n_z_phot` and `n_z_spec`, `NZ_BARS` + 1.
        n_z_phot: Counts of all objects with a z_phot.
        n_z_spec: Counts of all objects with a plausible z_spec.
    """

    rows: int
    known: int
    z_edges: tuple[float, ...]
    density: tuple[tuple[int, ...], ...]
    density_outside: int
    dz_edges: tuple[float, ...]
    dz_density: tuple[tuple[int, ...], ...]
    residual_edges: tuple[float, ...]
    residuals: tuple[int, ...]
    residuals_outside: int
    nz_edges: tuple[float, ...]
    n_z_phot: tuple[int, ...]
    n_z_spec: tuple[int, ...]


def bin_redshifts(chunks: Sequence[Floats], *, bias: float = 0.0, sigma: float = 0.01) -> Binned:
    """Bin redshifts in blocks of `BLOCK_ROWS`, so that the work needs no memory of note.

    Args:
        chunks: Arrays (2 or more, N) whose rows 0 and 1 are z_phot and z_spec, NaN where missing.
        bias: Median of dz, the middle of the residuals' histogram.
        sigma: sigma_NMAD of dz, its scale.

    Returns:
        The histograms; their limits leave out at most `OUTSIDE_SHARE` at each end.
    """
    z_edges = _limits(chunks, CELLS)
    nz_edges = np.linspace(z_edges[0], z_edges[-1], NZ_BARS + 1)
    reach = dz_reach(bias, sigma)
    dz_edges = np.linspace(bias - reach, bias + reach, DZ_CELLS + 1)
    residual_edges = np.linspace(bias - reach, bias + reach, BARS + 1)
    rows = known = 0
    density = np.zeros((CELLS, CELLS), np.int64)
    dz_density = np.zeros((CELLS, DZ_CELLS), np.int64)
    bars = np.zeros(BARS, np.int64)
    n_phot, n_spec = np.zeros(NZ_BARS, np.int64), np.zeros(NZ_BARS, np.int64)
    for phot, spec in _blocks(chunks):
        both = comparable(phot, spec)
        dz = residuals(phot[both], spec[both])
        rows, known = rows + len(phot), known + len(dz)
        density += _histogram2d(spec[both], phot[both], z_edges, z_edges)
        dz_density += _histogram2d(spec[both], dz, z_edges, dz_edges)
        bars += _histogram(dz, residual_edges)
        n_phot += _histogram(phot[np.isfinite(phot)], nz_edges)
        n_spec += _histogram(spec[plausible_redshifts(spec)], nz_edges)
    edges = (z_edges, dz_edges, residual_edges, nz_edges)
    return binned(rows, known, edges, density, dz_density, bars, n_phot, n_spec)


def binned(
    rows: int,
    known: int,
    edges: tuple[Floats, Floats, Floats, Floats],
    density: Counts,
    dz_density: Counts,
    bars: Counts,
    n_phot: Counts,
    n_spec: Counts,
) -> Binned:
    """The histograms as the page's document has them.

    Args:
        rows: All rows.
        known: Those with both redshifts, which the densities and the bars are of.
        edges: Of z, dz, the residuals' bars, and the bars of N(z).
    """
    z_edges, dz_edges, residual_edges, nz_edges = (tuple(each.tolist()) for each in edges)
    return Binned(
        rows=rows,
        known=known,
        z_edges=z_edges,
        density=nested(density),
        density_outside=known - int(density.sum()),
        dz_edges=dz_edges,
        dz_density=nested(dz_density),
        residual_edges=residual_edges,
        residuals=tuple(bars.tolist()),
        residuals_outside=known - int(bars.sum()),
        nz_edges=nz_edges,
        n_z_phot=tuple(n_phot.tolist()),
        n_z_spec=tuple(n_spec.tolist()),
    )


def dz_reach(bias: float, sigma: float) -> float:
    """How far from the bias dz is shown; edges about a huge one would coincide if it were less."""
    return max(DZ_SIGMAS * sigma, 1e-4, 1e-6 * abs(bias))


def _blocks(chunks: Iterable[Floats]) -> Iterator[tuple[NDArray[np.float64], NDArray[np.float64]]]:
    for chunk in chunks:
        for start in range(0, chunk.shape[1], BLOCK_ROWS):
            part = chunk[:2, start : start + BLOCK_ROWS].astype(np.float64)
            yield part[0], part[1]


def _limits(chunks: Sequence[Floats], cells: int) -> NDArray[np.float64]:
    """Edges from 0, or less where there is less, to where all but a few objects lie."""
    counts = np.zeros(len(SCOUT_EDGES) - 1, np.int64)
    for phot, spec in _blocks(chunks):
        for seen in (phot[np.isfinite(phot)], spec[plausible_redshifts(spec)]):
            counts += _histogram(seen.clip(SCOUT_EDGES[0], SCOUT_EDGES[-1]), SCOUT_EDGES)
    if not counts.any():
        return np.linspace(0.0, 1.0, cells + 1)
    share = np.cumsum(counts) / counts.sum()
    low = SCOUT_EDGES[np.searchsorted(share, OUTSIDE_SHARE, side="right")]
    high = SCOUT_EDGES[np.searchsorted(share, 1 - OUTSIDE_SHARE) + 1]
    return np.linspace(min(low, 0.0), 1.05 * max(high, 0.01), cells + 1)


def _histogram(values: Floats, edges: Floats) -> Counts:
    counts: Counts = np.bincount(_cells(values, edges), minlength=len(edges) + 1)[1:-1]
    return counts


def _histogram2d(x: Floats, y: Floats, x_edges: Floats, y_edges: Floats) -> Counts:
    wide, high = len(x_edges) + 1, len(y_edges) + 1
    both = _cells(x, x_edges) * high + _cells(y, y_edges)
    counts: Counts = np.bincount(both, minlength=wide * high).reshape(wide, high)[1:-1, 1:-1]
    return counts


def _cells(values: Floats, edges: Floats) -> NDArray[np.int64]:
    """Cell of each value between evenly spaced edges, from 1; 0 and len(edges) lie outside."""
    cells = len(edges) - 1
    scaled = (values - edges[0]) * (cells / (edges[-1] - edges[0]))
    inside: NDArray[np.int64] = np.floor(scaled).clip(-1, cells).astype(np.int64) + 1
    return np.where((inside > cells) & (values == edges[-1]), cells, inside)


def nested(counts: Counts) -> tuple[tuple[int, ...], ...]:
    """A table of counts (M, N) as JSON has it."""
    return tuple(tuple(row) for row in counts.tolist())
