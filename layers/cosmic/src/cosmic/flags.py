"""What may be wrong with an object: missing magnitudes, and the catalogue's flags."""

from __future__ import annotations

from enum import IntFlag
from typing import Any

import numpy as np
from numpy.typing import NDArray


class Flag(IntFlag):
    """What a catalogue row's `flags` bitmask says of the object."""

    MISSING_BAND = 1
    BAD_PIXELS = 2
    OUT_OF_RANGE = 4
    NO_PREDICTION = 8


MISSING_MAGNITUDES = (-9999.0, -99.0, 99.0)


def present(values: NDArray[np.floating[Any]]) -> NDArray[np.bool_]:
    """Which values are real: finite and none of the surveys' stand-ins for *missing*."""
    real: NDArray[np.bool_] = np.isfinite(values) & ~np.isin(values, MISSING_MAGNITUDES)
    return real
