"""The bands of a data set and of a model: which there are, and in which order.

Whatever says none, a partition or a checkpoint, has u, g, r, i and z, so those of earlier versions
stay what they were. A data set and the model that runs on it have the same bands in the same order.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from cosmic.errors import InputError

Bands = tuple[str, ...]

BANDS: Bands = ("u", "g", "r", "i", "z")
REFERENCE = "r"  # the magnitude that metrics, domain and p(z) go by
FEWEST_BANDS, MOST_BANDS = 2, 32
NAME = re.compile(r"[A-Za-z][A-Za-z0-9]{0,15}")  # becomes part of the names of columns


def named_bands(text: str) -> Bands:
    """Names of bands that are written in one text: `ugriz`, or `u, g, r`."""
    return tuple(text.replace(",", " ").split()) if set(text) & set(", ") else tuple(text)


def bands_text(bands: Sequence[str]) -> str:
    """The names as one text that `named_bands` reads: `griz`, or `g,r,Ks`."""
    return ("" if all(len(band) == 1 for band in bands) else ",").join(bands)


def listed_bands(bands: Sequence[str]) -> str:
    """The names for people."""
    return ", ".join(bands)


def check_bands(names: Sequence[str]) -> Bands:
    """Names that a data set's bands can have.

    Raises:
        InputError: they are too few or too many, one is no name or there twice, or r is not there.
    """
    bands = tuple(names)
    said = listed_bands(bands)
    odd = [band for band in bands if not NAME.fullmatch(band)]
    if odd:
        why = f"{odd[0]!r} is not made of letters and digits"
    elif not FEWEST_BANDS <= len(bands) <= MOST_BANDS:
        why = f"there are {len(bands)} of them, not {FEWEST_BANDS} to {MOST_BANDS}"
    elif len({band.casefold() for band in bands}) < len(bands):  # FITS and SQL don't tell z from Z
        why = "a name occurs twice (upper and lower case count as the same)"
    elif REFERENCE not in bands:
        why = f"{REFERENCE} is not among them, but metrics and domain depend on its magnitude"
    else:
        return bands
    hint = "such as griz, or g,r,i,z,Y,J with commas where a name has several letters"
    raise InputError(f"the bands {said}: {why}", code="bad-bands", hint=hint)


def bands_of_columns(names: Iterable[str]) -> Bands:
    """The bands of a catalogue with columns of these names, in their order."""
    found = (name.removeprefix("mag_") for name in names if name.startswith("mag_"))
    return tuple(band for band in found if NAME.fullmatch(band))
