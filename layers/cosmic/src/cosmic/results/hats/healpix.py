"""HEALPix in the nested scheme (Górski et al. 2005): the pixels of positions, and tilings of rows.

The packages that have it need astropy, or lack wheels for what Lambda runs. A test compares the
numbers with those of cdshealpix, which HATS and LSDB use.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.int64]

ORDER = 29  # the finest whose numbers int64 holds: a pixel is 0.4 mas wide
TILE_ORDER = 9  # the finest that a tile has: a pixel is 47 square arcmin large
FACES = 12
SIDE = 1 << ORDER
LAST = SIDE - 1
NORTH_CAP = 2 / 3 - 1e-14  # sin(dec); next to it, belts are rounded
SOUTH_CAP = -2 / 3
SPREAD = (  # each step moves the upper half of what is together, until all bits are two apart
    (16, 0x0000FFFF0000FFFF),
    (8, 0x00FF00FF00FF00FF),
    (4, 0x0F0F0F0F0F0F0F0F),
    (2, 0x3333333333333333),
    (1, 0x5555555555555555),
)


class Tile(NamedTuple):
    """A pixel of some order, and how many rows lie in it."""

    order: int
    pixel: int
    rows: int

    @property
    def first(self) -> int:
        """The first pixel of `TILE_ORDER` in it."""
        return self.pixel << 2 * (TILE_ORDER - self.order)

    @property
    def end(self) -> int:
        """The first pixel of `TILE_ORDER` behind it."""
        return (self.pixel + 1) << 2 * (TILE_ORDER - self.order)


def healpix_index(ra: NDArray[np.float64], dec: NDArray[np.float64]) -> Pixels:
    """Pixels of order 29 in which positions lie.

    Args:
        ra: Right ascensions (N,) in degrees.
        dec: Declinations (N,) in degrees, -90 to 90.

    Returns:
        Nested numbers (N,), from 0.
    """
    turn = np.mod(ra, 360.0) / 90.0
    z = np.sin(np.radians(dec))
    face, x, y = _in_belt(turn, z)
    polar = np.flatnonzero((z > NORTH_CAP) | (z < SOUTH_CAP))
    face[polar], x[polar], y[polar] = _in_caps(turn[polar], dec[polar])
    return face << 2 * ORDER | _spread(y) << 1 | _spread(x)


def _in_belt(turn: NDArray[np.float64], z: NDArray[np.float64]) -> tuple[Pixels, Pixels, Pixels]:
    """Face, x and y where pixels lie between straight lines in `turn` and z = sin(dec)."""
    x = np.floor((0.5 + turn + 0.75 * z) * SIDE).astype(np.int64)
    y = np.floor((0.5 - turn + 0.75 * z) * SIDE).astype(np.int64)
    column, row = x >> ORDER, y >> ORDER  # of squares, which stand on a corner
    belt = column + row  # 1: the northern faces, 0: those on the equator, -1: the southern ones
    return (4 - 4 * belt) + (np.where(belt > 0, -row, column) & 3), x & LAST, y & LAST


def _in_caps(turn: NDArray[np.float64], dec: NDArray[np.float64]) -> tuple[Pixels, Pixels, Pixels]:
    """Face, x and y near the poles, where each quarter of the sky narrows to a point."""
    quarter = np.floor(turn).astype(np.int64)
    along = turn - quarter
    # sqrt(3 (1 - |sin dec|)), without losing digits next to a pole.
    width = np.sqrt(6.0) * np.sin(np.radians(90.0 - np.abs(dec)) / 2) * SIDE
    west, east = along * width, (1 - along) * width
    north = dec > 0
    x = np.where(north, SIDE - east, west).astype(np.int64)
    y = np.where(north, SIDE - west, east).astype(np.int64)
    # -1e-20 modulo 360 is 360, a fifth quarter.
    return np.where(north, 0, 8) + (quarter & 3), np.clip(x, 0, LAST), np.clip(y, 0, LAST)


def _spread(bits: Pixels) -> Pixels:
    """The same bits, with a zero before each."""
    for shift, mask in SPREAD:
        bits = (bits | bits << shift) & mask
    return bits


def tiles_of(counts: NDArray[np.int64], most_rows: int) -> Iterator[Tile]:
    """The largest pixels with at most so many rows each, without the empty ones, by order.

    Pixels of `TILE_ORDER` are not divided, whatever they hold.

    Args:
        counts: Rows in each pixel of `TILE_ORDER` (12 x 4**9,).
        most_rows: In a tile.
    """
    sums = [counts]
    for _ in range(TILE_ORDER):
        sums.append(sums[-1].reshape(-1, 4).sum(axis=1))
    undivided = np.ones(len(sums[-1]), np.bool_)
    for order, rows in enumerate(reversed(sums)):
        small = (rows <= most_rows) | (order == TILE_ORDER)
        for pixel in np.flatnonzero(undivided & small & (rows > 0)).tolist():
            yield Tile(order, pixel, int(rows[pixel]))
        divided = undivided & ~small
        if not divided.any():
            return
        undivided = np.repeat(divided, 4)
