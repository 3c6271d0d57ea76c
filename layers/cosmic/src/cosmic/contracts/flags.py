"""What may be wrong with an object: the catalogue's flags."""

from __future__ import annotations

from enum import IntFlag


class Flag(IntFlag):
    """What a catalogue row's `flags` bitmask says of the object."""

    MISSING_BAND = 1
    BAD_PIXELS = 2
    OUT_OF_RANGE = 4
    NO_PREDICTION = 8
