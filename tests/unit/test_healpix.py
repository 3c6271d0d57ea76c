"""Pixels on the sky, compared with those of cdshealpix, which HATS and LSDB use."""

from __future__ import annotations

from collections.abc import Callable

import cdshealpix
import numpy as np
import pytest
from astropy.coordinates import Latitude, Longitude, SkyCoord
from numpy.typing import NDArray

from cosmic.results.hats.healpix import FACES, ORDER, TILE_ORDER, Tile, healpix_index, tiles_of

POINTS = 200_000
CAP_DEG = float(np.degrees(np.arcsin(2 / 3)))

Positions = tuple[NDArray[np.float64], NDArray[np.float64]]


def theirs(ra: NDArray[np.float64], dec: NDArray[np.float64]) -> NDArray[np.int64]:
    """The same of cdshealpix."""
    found = cdshealpix.lonlat_to_healpix(Longitude(ra, "deg"), Latitude(dec, "deg"), ORDER)
    return np.asarray(found, np.int64)


def on_the_sphere() -> Positions:
    draw = np.random.default_rng(1)
    return draw.uniform(-180, 360, POINTS), np.degrees(np.arcsin(draw.uniform(-1, 1, POINTS)))


def near_the_poles() -> Positions:
    draw = np.random.default_rng(2)
    away = 10 ** draw.uniform(-14, 1, POINTS)
    return draw.uniform(0, 360, POINTS), (90 - away) * draw.choice([-1, 1], POINTS)


def where_caps_begin() -> Positions:
    draw = np.random.default_rng(3)
    away = 10 ** draw.uniform(-16, 0, POINTS) * draw.choice([-1, 1], POINTS)
    return draw.uniform(0, 360, POINTS), (CAP_DEG + away) * draw.choice([-1, 1], POINTS)


@pytest.mark.parametrize("positions", [on_the_sphere, near_the_poles, where_caps_begin])
def test_pixels_are_those_of_cdshealpix(positions: Callable[[], Positions]) -> None:
    ra, dec = positions()
    different = np.count_nonzero(healpix_index(ra, dec) != theirs(ra, dec))
    # Rounding decides next to a border, which is 1e-7 of a pixel away for one point in a million.
    assert different <= 2


def test_on_borders_pixels_touch_those_of_cdshealpix() -> None:
    ra, dec = (a.ravel() for a in np.meshgrid(np.arange(-180, 361, 1.5), np.arange(-90, 90.1, 0.5)))
    ours, expected = healpix_index(ra, dec), theirs(ra, dec)
    odd = ours != expected
    assert odd.mean() < 1e-3
    centres = cdshealpix.healpix_to_lonlat(ours[odd], ORDER)
    apart = SkyCoord(*centres).separation(SkyCoord(ra[odd], dec[odd], unit="deg"))
    assert apart.to_value("mas").max(initial=0) < 0.4


def test_corners_of_faces_have_a_pixel() -> None:
    ra = np.array([0, 45, 90, 360, -1e-20, 359.9999999999999, 0, 0, 180, 180])
    dec = np.array([0, 0, 0, 0, 0, 0, 90, -90, CAP_DEG, -CAP_DEG])
    np.testing.assert_array_equal(healpix_index(ra, dec), theirs(ra, dec))


def test_tiles_are_the_largest_pixels_that_hold_few_enough_rows() -> None:
    counts = np.zeros(FACES << 2 * TILE_ORDER, np.int64)
    face = 1 << 2 * TILE_ORDER
    counts[0] = 60  # one pixel that can't be divided
    counts[face // 4 * 2] = 30
    counts[face // 4 * 2 + 1] = 25
    counts[3 * face : 4 * face : face // 16] = 2  # sixteen pixels of a face
    found = sorted(tiles_of(counts, 50), key=lambda tile: tile.first)
    assert found[0] == Tile(TILE_ORDER, 0, 60)
    assert [tile.rows for tile in found] == [60, 30, 25, 32]
    assert found[3] == Tile(0, 3, 32)
    assert {tile.order for tile in found[1:3]} == {TILE_ORDER}


def test_nothing_has_no_tiles() -> None:
    assert not list(tiles_of(np.zeros(FACES << 2 * TILE_ORDER, np.int64), 1))
