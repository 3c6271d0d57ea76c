"""Names of bands: what files say of the order of theirs, and where ours are among them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from cosmic.contracts.bands import MOST_BANDS, Bands, listed_bands, named_bands
from cosmic.data.pack.source import Field, Values, joined
from cosmic.errors import InputError

KEYS = ("bands", "band", "filters", "band_names", "band_order", "filter_names", "filter_order")
KNOWN = frozenset("ugrizy")
LEAST_KNOWN = 3  # of the names, so that `filters: SDSS` is not taken for four


def _letter(name: str) -> str:
    """Such as `g` of `sdss-g`."""
    return name.replace("_", "-").replace(".", "-").rpartition("-")[2].casefold()


def band_order(names: Sequence[str], wanted: Bands) -> list[int]:
    """Where the wanted bands are among those named like `sdss-g`.

    Raises:
        InputError: one of them isn't there, or is there twice.
    """
    last = [_letter(name) for name in names]
    letters = [band.casefold() for band in wanted]
    missing = [b for b, letter in zip(wanted, letters, strict=True) if last.count(letter) != 1]
    if missing:
        message = f"its bands {', '.join(names)} lack {', '.join(missing)}, or have it twice"
        hint = f"name {listed_bands(wanted)} once each, or give --bands with the existing ones"
        raise InputError(message, code="bad-partition", hint=hint)
    return [last.index(letter) for letter in letters]


def said_bands(said: Mapping[str, Any]) -> tuple[str, ...]:
    """Names of bands that attributes or metadata give under one of `KEYS`; empty: none."""
    values = {str(key).casefold(): value for key, value in said.items()}
    found = next((values[key] for key in KEYS if key in values), None)
    if found is None:
        return ()
    if np.ndim(found) or isinstance(found, list | tuple):
        return tuple(text_of(each) for each in np.ravel(np.asarray(found)))
    return named_bands(text_of(found))


def bands_of_all(said: Mapping[str, Any]) -> tuple[str, ...]:
    """Names of bands that hold for a whole file or table, if these are names of bands at all."""
    names = said_bands(said)
    return names if len(KNOWN & {_letter(name) for name in names}) >= LEAST_KNOWN else ()


def text_of(value: Any) -> str:
    """An attribute's text, be it bytes or an array of one."""
    if isinstance(value, np.ndarray) and value.size == 1:
        value = value.reshape(-1)[0]
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


def with_bands(fields: Iterable[Field], names: tuple[str, ...]) -> list[Field]:
    """The fields, those that name no bands of their own with these."""
    return [f if f.bands or not names else replace(f, bands=names) for f in fields]


def listed_beside(fields: Sequence[Field]) -> list[Field]:
    """The fields with the bands that a list of texts beside them, such as `bands`, names.

    A column of a table, which has others of its length beside it, is no such list.
    """
    for each in fields:
        texts = each.kind in "SU" and not each.row_shape and each.rows <= MOST_BANDS
        alone = not any(f.rows == each.rows and f.place == each.place for f in fields if f != each)
        if texts and alone and each.name.casefold() in KEYS:
            names = bands_of_all({KEYS[0]: each.read(0, each.rows).data})
            return with_bands(fields, names)
    return list(fields)


def bands_of(fields: Sequence[Field]) -> tuple[str, ...]:
    """Names of the bands of one field of all, or of one field a band; empty: none are said."""
    said = [f.bands for f in fields]
    if len(fields) > 1:
        return tuple(name for (name,) in said) if all(len(b) == 1 for b in said) else ()
    return said[0] if len(said[0]) > 1 else ()


def read_in_order(fields: Sequence[Field], start: int, stop: int, wanted: Bands) -> Values:
    """Numbers in B wanted bands (rows, B), of one field of all bands or one field a band.

    Raises:
        InputError: the bands that the file names lack one.
    """
    values = joined([f.read(start, stop) for f in fields])
    names = bands_of(fields)
    if not names or values.data.ndim < 2:
        return values
    if len(names) != values.data.shape[1]:
        message = f"{fields[0].name} has {values.data.shape[1]} bands, but {len(names)} are named"
        raise InputError(f"{message}: {', '.join(names)}", code="bad-partition")
    order = band_order(names, wanted)
    if order == list(range(len(names))):
        return values
    missing = None if values.missing is None else values.missing_values()[:, order]
    return Values(values.data[:, order], missing)
