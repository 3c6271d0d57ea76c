"""Counts of objects in cells of a plane: on the sky, and in redshift and magnitude."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cosmic.contracts.arrow_values import values_of
from cosmic.contracts.contract import Contract
from cosmic.metrics.photo_z import EXACT_ROWS

if TYPE_CHECKING:
    import pyarrow as pa

SKY_DEG = 0.25  # the sky is counted in cells of this side ...
SKY_CELLS = (72, 48)  # ... and shown in at most so many
Z_CELLS, MAG_CELLS = 56, 40
FINE = (np.arange(-1.0, 20.0 + 2**-7, 2**-7), np.arange(-5.0, 40.0 + 2**-4, 2**-4))  # z, mag
PER_UNIT = (2**7, 2**4)  # fine cells; powers of two, so that cells follow from values exactly
SHARE = 1e-3  # of the objects that the limits of a plane leave out at each end, at most


class Cells(Contract):
    """Counts in the cells of a plane.

    Attributes:
        x_edges, y_edges: Of the cells.
        counts: By x (outer) and y (inner).
        outside: Objects beyond the edges.
    """

    x_edges: tuple[float, ...]
    y_edges: tuple[float, ...]
    counts: tuple[tuple[int, ...], ...]
    outside: int = 0


class SkyCounts:
    """Objects in cells of a quarter of a degree in ra and dec, as rows come."""

    def __init__(self) -> None:
        self._counts = np.zeros((round(360 / SKY_DEG), round(180 / SKY_DEG)), np.uint32)

    def see(self, table: pa.Table) -> None:
        """Count more rows of the catalogue's schema; those without a position don't count."""
        ra, dec = (values_of(table[name]) for name in ("ra", "dec"))
        known = np.isfinite(ra) & np.isfinite(dec)
        wide, high = self._counts.shape
        x = (np.mod(ra[known], 360.0) / SKY_DEG).astype(np.int64) % wide
        y = np.minimum(((dec[known] + 90.0) / SKY_DEG).astype(np.int64), high - 1)
        np.add.at(self._counts.reshape(-1), x * high + y, np.uint32(1))

    def cells(self) -> Cells | None:
        """The part of the sky where objects are, in at most `SKY_CELLS`; None if there are none.

        A field across ra 0 is not torn: its ra begins below 0.
        """
        if not self._counts.any():
            return None
        occupied: NDArray[np.bool_] = self._counts.max(axis=1) > 0
        start = _after_largest_gap(occupied)
        counts = np.roll(self._counts, -start, axis=0)
        x, y = (np.flatnonzero(counts.any(axis=axis)) for axis in (1, 0))
        first = start + x[0] if start + x[-1] < len(counts) else start + x[0] - len(counts)
        part: NDArray[np.int64] = counts[x[0] : x[-1] + 1, y[0] : y[-1] + 1].astype(np.int64)
        each = [-(-n // most) for n, most in zip(part.shape, SKY_CELLS, strict=True)]
        shown = _merged(part, each)
        edges = [
            (low + step * np.arange(n + 1)) * SKY_DEG - offset
            for low, step, n, offset in zip((first, y[0]), each, shown.shape, (0, 90), strict=True)
        ]
        return _cells(edges[0], edges[1], shown)


def redshift_magnitude(z: NDArray[Any], mag: NDArray[Any]) -> Cells | None:
    """Objects by z_phot (outer) and r magnitude (inner), (N,) each; None if none has both."""
    both = np.isfinite(z) & np.isfinite(mag)
    if not both.any():
        return None
    z, mag = z[both], mag[both]
    edges = [_limits(values, n) for values, n in ((z, Z_CELLS), (mag, MAG_CELLS))]
    counts, _, _ = np.histogram2d(z, mag, bins=edges)
    return _cells(edges[0], edges[1], counts.astype(np.int64), len(z) - int(counts.sum()))


class MagnitudeCounts:
    """Objects by redshift and r magnitude, as rows come.

    Up to `EXACT_ROWS` rows are kept; more are counted in fine cells, which are put together when
    the limits are known.
    """

    def __init__(self) -> None:
        self._rows = 0
        self._kept: list[NDArray[Any]] = []
        self._fine: NDArray[np.uint32] | None = None

    def see(self, z_phot: NDArray[Any], mag_r: NDArray[Any]) -> None:
        """Take in more rows (N,); those without either don't count."""
        both = np.isfinite(z_phot) & np.isfinite(mag_r)
        self._rows += int(both.sum())
        self._kept.append(np.stack([z_phot[both], mag_r[both]]))
        if self._rows > EXACT_ROWS:
            if self._fine is None:
                self._fine = np.zeros([len(edges) + 1 for edges in FINE], np.uint32)
            wide = self._fine.shape[1]
            for kept in self._kept:
                x, y = (_fine_cells(values, axis) for axis, values in enumerate(kept))
                np.add.at(self._fine.reshape(-1), x * wide + y, np.uint32(1))
            self._kept = []

    def cells(self) -> Cells | None:
        """Objects by z_phot (outer) and r magnitude (inner); None if none has both."""
        if self._fine is None:
            return redshift_magnitude(*np.concatenate([np.empty((2, 0)), *self._kept], axis=1))
        inside = self._fine[1:-1, 1:-1].astype(np.int64)
        spans = [
            _span(inside.sum(axis=1 - axis), most) for axis, most in enumerate((Z_CELLS, MAG_CELLS))
        ]
        parts = inside[spans[0].start : spans[0].stop, spans[1].start : spans[1].stop]
        counts = _merged(parts, [span.step for span in spans])
        x, y = (edges[[*span, span.stop]] for edges, span in zip(FINE, spans, strict=True))
        return _cells(x, y, counts, self._rows - int(counts.sum()))


def _fine_cells(values: NDArray[Any], axis: int) -> NDArray[np.int64]:
    """How many of an axis' fine edges lie at or below each value, all finite."""
    edges = FINE[axis]
    per_unit = PER_UNIT[axis]
    steps = np.floor(values.astype(np.float64) * per_unit) - edges[0] * per_unit  # no rounding
    cells: NDArray[np.int64] = np.clip(steps + 1, 0, len(edges)).astype(np.int64)
    return cells


def _span(counts: NDArray[np.int64], most: int) -> range:
    """Where all but a few objects lie, in at most this many steps of whole fine cells."""
    seen = np.cumsum(counts) / max(1, counts.sum())
    first, last = np.searchsorted(seen, [SHARE, 1 - SHARE]).tolist()
    step = -(-(last + 1 - first) // most)
    return range(first, min(len(counts), first + step * -(-(last + 1 - first) // step)), step)


def _limits(values: NDArray[Any], cells: int) -> NDArray[np.float64]:
    low, high = np.quantile(values, [SHARE, 1 - SHARE])
    margin = max(0.03 * (high - low), 1e-3)
    return np.linspace(low - margin, high + margin, cells + 1)


def _after_largest_gap(occupied: NDArray[np.bool_]) -> int:
    """Where a circle's occupied part begins: behind its longest stretch without any."""
    places = np.flatnonzero(occupied)
    gaps = np.diff(np.append(places, places[0] + len(occupied)))
    return int(places[(int(np.argmax(gaps)) + 1) % len(places)])


def _merged(counts: NDArray[np.int64], each: Sequence[int]) -> NDArray[np.int64]:
    """Sums of `each` cells by `each` cells."""
    sums = counts
    for axis, step in enumerate(each):
        sums = np.add.reduceat(sums, np.arange(0, sums.shape[axis], step), axis=axis)
    return sums


def _cells(x: NDArray[Any], y: NDArray[Any], counts: NDArray[np.int64], outside: int = 0) -> Cells:
    return Cells(
        x_edges=tuple(x.tolist()),
        y_edges=tuple(y.tolist()),
        counts=tuple(tuple(row) for row in counts.tolist()),
        outside=outside,
    )
