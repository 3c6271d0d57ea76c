"""Which values a measured quantity can have; what lies outside is *missing*.

Catalogues write "not measured" as -9, -99, -999, -9999, 99, 99.999, 9999 or 1e20, and a narrow
dtype rounds these (-9999 in float16 is -10000). No list of them is ever complete, but all lie far
outside what nature and photometry allow, so a range per quantity finds them in any dtype.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

MAGNITUDES = (-5.0, 40.0)
REDSHIFTS = (-0.1, 20.0)

RIGHT_ASCENSIONS = (-180.0, 360.0)
DECLINATIONS = (-90.0, 90.0)

Floats = NDArray[np.floating[Any]]
Mask = NDArray[np.bool_]


def plausible_magnitudes(values: Floats) -> Mask:
    """Which values are magnitudes, in any shape: finite, from -5 to 40 inclusive."""
    return _within(values, *MAGNITUDES)


def plausible_magnitude_errors(values: Floats) -> Mask:
    """Which values are errors of magnitudes, in any shape: from 0 to the width of `MAGNITUDES`."""
    return _within(values, 0, MAGNITUDES[1] - MAGNITUDES[0])


def plausible_redshifts(values: Floats) -> Mask:
    """Which values are redshifts, in any shape: above -0.1 (blueshifts are small), at most 20."""
    redshifts: Mask = (values > REDSHIFTS[0]) & (values <= REDSHIFTS[1])
    return redshifts


def plausible_right_ascensions(values: Floats) -> Mask:
    """Which values are right ascensions in degrees, counted from 0 to 360 or from -180 to 180."""
    return _within(values, *RIGHT_ASCENSIONS)


def plausible_declinations(values: Floats) -> Mask:
    """Which values are declinations in degrees."""
    return _within(values, *DECLINATIONS)


def _within(values: Floats, low: float, high: float) -> Mask:
    within: Mask = (values >= low) & (values <= high)
    return within


PLAUSIBLE: dict[str, Callable[[Floats], Mask]] = {
    "mag": plausible_magnitudes,
    "mag_err": plausible_magnitude_errors,
    "ra": plausible_right_ascensions,
    "dec": plausible_declinations,
    "z_spec": plausible_redshifts,
}  # by a partition's columns
