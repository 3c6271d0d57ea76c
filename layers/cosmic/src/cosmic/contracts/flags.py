"""What may be wrong with an object: the catalogue's flags."""

from __future__ import annotations

from enum import IntFlag


class Flag(IntFlag):
    """What a catalogue row's `flags` bitmask says of the object."""

    MISSING_BAND = 1
    BAD_PIXELS = 2
    OUT_OF_RANGE = 4
    NO_PREDICTION = 8
    OUT_OF_DOMAIN = 16
    PHOTOMETRY_MISMATCH = 32


MEANINGS = {
    Flag.MISSING_BAND: "a magnitude is missing",
    Flag.BAD_PIXELS: "bad pixels, or a band without signal",
    Flag.OUT_OF_RANGE: "z_phot outside the training range",
    Flag.NO_PREDICTION: "no prediction",
    Flag.OUT_OF_DOMAIN: "unlike the objects of the training data",
    Flag.PHOTOMETRY_MISMATCH: "pixels and magnitudes disagree",
}
