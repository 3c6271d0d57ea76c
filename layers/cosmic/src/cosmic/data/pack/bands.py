"""Names of bands: what files say of the order of theirs, and where ours are among them."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from cosmic.contracts.bands import MOST_BANDS, REFERENCE, Bands, listed_bands
from cosmic.data.pack.source import Field, Values, joined
from cosmic.errors import InputError

KEYS = (
    *("bands", "band", "filters", "filter", "band_names", "band_order", "band_list"),
    *(
        "filter_names",
        "filter_order",
        "filter_list",
        "channels",
        "channel",
        "passbands",
        "passband",
    ),
)
OF_A_FIELD = ("{}_bands", "{}_band", "{}_filters")
KNOWN = frozenset("ugrizy")
LEAST_KNOWN = 3  # of the names, so that `filters: SDSS` is not taken for four
WORDS = re.compile("[^a-z0-9]+")
AROUND = " \t\r\n[](){}'\""
LIST_MARKS = frozenset(",;|")


def _band(name: str, known: Collection[str]) -> str | None:
    """Which of these bands, in small letters, a name is of, such as `g` of `sdss-g`, `g_lsst`, `g'`
    or sedpy's `sdss_g0`; None: of none, or it could be more than one."""
    words = [word for word in WORDS.split(name.casefold()) if word]
    found = [w if w in known else w.removesuffix("0") for w in words]
    found = [word for word in found if word in known]
    if words and found and found[-1] == words[-1]:
        return found[-1]
    return found[0] if len(found) == 1 else None


def band_order(names: Sequence[str], wanted: Bands) -> list[int]:
    """Where the wanted bands are among those named like `sdss-g`.

    Raises:
        InputError: one of them isn't there, or is there twice.
    """
    letters = [band.casefold() for band in wanted]
    there = [_band(name, letters) for name in names]
    missing = [b for b, letter in zip(wanted, letters, strict=True) if there.count(letter) != 1]
    if missing:
        message = f"its bands {', '.join(names)} lack {', '.join(missing)}, or have it twice"
        hint = f"name {listed_bands(wanted)} once each, or give --bands with the existing ones"
        raise InputError(message, code="bad-partition", hint=hint)
    return [there.index(letter) for letter in letters]


def said_bands(said: Mapping[str, Any], field: str = "") -> tuple[str, ...]:
    """Names of bands that attributes or metadata give; empty: none.

    Args:
        said: The attributes; the names are under one of `KEYS`, in capitals or not.
        field: A field's name, whose own bands may be under `image_bands` and the like.
    """
    return _names(_said(said, field))


def bands_of_all(said: Mapping[str, Any], field: str = "") -> tuple[str, ...]:
    """Names of bands that hold for a whole file or table, if these can be names of bands at all:
    some are known, or they are a list. Arguments as of `said_bands`."""
    value = _said(said, field)
    names = _names(value)
    return names if _are_known(names) or (_is_list(value) and len(names) >= LEAST_KNOWN) else ()


def _said(said: Mapping[str, Any], field: str) -> Any | None:
    values = {str(key).casefold(): value for key, value in said.items()}
    own = [key.format(field.casefold()) for key in OF_A_FIELD] if field else []
    return next((values[key] for key in (*own, *KEYS) if key in values), None)


def _names(value: Any | None) -> tuple[str, ...]:
    if value is None:
        return ()
    if isinstance(value, np.ndarray | list | tuple) and np.size(value) != 1:
        return tuple(text_of(each) for each in np.ravel(np.asarray(value)))
    text = text_of(value).strip(AROUND)
    parts = re.split("[,;|]", text) if LIST_MARKS & set(text) else text.split()
    if len(parts) == 1:
        letters = re.sub("[-/]", "", text)
        apart = len(letters) in (len(text), (len(text) + 1) // 2)
        parts = list(letters) if apart and _is_letters(letters) else [text]
    return tuple(name for name in (part.strip(AROUND) for part in parts) if name)


def _is_letters(word: str) -> bool:
    """Whether it is names of one letter each, such as `griz` or `rJHK`, and not one name."""
    each = set(word.casefold())
    return each <= KNOWN or (len(each) == len(word) and REFERENCE in each)


def _is_list(value: Any) -> bool:
    """Whether it is one that a program wrote, not a person's words."""
    if isinstance(value, np.ndarray | list | tuple) and np.size(value) != 1:
        return True
    return bool(LIST_MARKS & set(text_of(value)))


def _are_known(names: Iterable[str]) -> bool:
    return len({_band(name, KNOWN) for name in names} - {None}) >= LEAST_KNOWN


def text_of(value: Any) -> str:
    """An attribute's text, be it bytes or an array of one."""
    if isinstance(value, np.ndarray) and value.size == 1:
        value = value.reshape(-1)[0]
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


def with_bands(fields: Iterable[Field], said: Mapping[str, Any]) -> list[Field]:
    """The fields, those that name no bands of their own with what is said of all of them."""
    return [f if f.bands else replace(f, bands=_fitting(f, said)) for f in fields]


def _fitting(each: Field, said: Mapping[str, Any]) -> tuple[str, ...]:
    """Names of which none is known belong to a field that has as many values on an axis: there
    they are refused when it is read, elsewhere they may be names of anything."""
    names = bands_of_all(said, each.name)
    return names if _are_known(names) or len(names) in each.row_shape else ()


def listed_beside(fields: Sequence[Field]) -> list[Field]:
    """The fields with the bands that lists of texts beside them, such as `bands`, name.

    A column of a table, which has others of its length beside it, is no such list.
    """
    said = {}
    for each in fields:
        few = each.rows <= MOST_BANDS and len(each.row_shape) < 2
        alone = not any(f.rows == each.rows and f.place == each.place for f in fields if f != each)
        if each.kind in "SU" and few and alone and (each.rows == 1 or not each.row_shape):
            said[each.name] = each.read(0, each.rows).data
    return with_bands(fields, said)


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
