"""Catalogues without images, whose pixels lie beside them: CSV, ECSV, VOTable."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from astropy.io import votable
from astropy.table import Column, Table
from pyarrow import csv

from cosmic.data.pack.arrow import Leaf, decoded
from cosmic.data.pack.bands import with_bands
from cosmic.data.pack.source import Array, Field, Source, Values, is_number, keyed, unreadable
from cosmic.errors import InputError

COMMENT = "#"
ECSV = "# %ECSV"
DELIMITERS = ",;\t|"
NULLS = (
    *("", "null", "NULL", "Null", "NA", "N/A", "n/a", "<NA>", "None", r"\N"),
    *("--", "...", "INDEF"),  # of astropy, CDS and IRAF
)
PLAIN_INTEGERS = r"^(0|-?[1-9][0-9]{0,17})$"


def open_csv(path: Path) -> Source:
    """A table whose first line names its columns; lines before it that begin with `#` are left out.

    The last of these lines names the columns if it has as many words as the next one and that one
    has numbers. Commas, semicolons, tabs or bars are between the values, whichever the first line
    has. Numbers are told by all of a column's values. Digits that would not be written so again
    (`007`) stay text, so that ids are what they were.

    Raises:
        InputError: it is none.
    """
    try:
        comments = _comments(path)
        if comments and comments[0].startswith(ECSV):
            return open_ecsv(path)
        table = _texts(path, len(comments), *_layout(path, comments))
    except UnicodeDecodeError as error:
        hint = "save it as UTF-8"
        message = f"{path}: it is not UTF-8 ({error})"
        raise InputError(message, code="bad-partition", hint=hint) from error
    except (OSError, ValueError, pa.ArrowInvalid) as error:
        raise unreadable(path, error) from error
    fields = [_text_field(name, table[name]) for name in table.column_names]
    return Source(path, "csv", keyed(fields))


def _comments(path: Path) -> list[str]:
    found = []
    with path.open(encoding="utf-8-sig") as file:
        for line in file:
            if not line.startswith(COMMENT):
                break
            found.append(line)
    return found


def _layout(path: Path, comments: list[str]) -> tuple[str, list[str] | None]:
    """What is between values, and the names that stand in the last comment; None: below it."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        first = next(islice(file, len(comments), None), "").rstrip("\r\n")
    between = next((each for each in DELIMITERS if each in first), DELIMITERS[0])
    words = comments[-1].removeprefix(COMMENT).strip("\r\n ").split(between) if comments else []
    values = first.split(between)
    named = len(words) == len(values) > 1 and any(is_number(value) for value in values)
    return between, words if named else None


def _texts(path: Path, skipped: int, between: str, said: list[str] | None) -> Any:
    """All columns as text."""
    reading = csv.ReadOptions(skip_rows=skipped, column_names=said)
    parsing = csv.ParseOptions(delimiter=between)
    with csv.open_csv(path, read_options=reading, parse_options=parsing) as file:
        names = file.schema.names
    stripped = [name.strip() for name in names]
    if len(set(stripped)) < len(names):
        raise ValueError(f"several columns have the same name: {', '.join(names)}")
    types = csv.ConvertOptions(
        column_types=dict.fromkeys(names, pa.string()),
        strings_can_be_null=True,
        null_values=list(NULLS),
    )
    table = csv.read_csv(path, read_options=reading, parse_options=parsing, convert_options=types)
    return table.rename_columns(stripped)


def _text_field(name: str, texts: Any) -> Field:
    """A column of text as the numbers that all of it is, or as text."""
    texts = texts.combine_chunks()
    trimmed = pc.utf8_trim_whitespace(texts)
    trimmed = pc.if_else(pc.is_in(trimmed, pa.array(NULLS)), None, trimmed)
    plain = pc.all(pc.match_substring_regex(trimmed, PLAIN_INTEGERS)).as_py()
    digits = pc.all(pc.match_substring_regex(trimmed, "^[+-]?[0-9]+$")).as_py()
    floats = _floats(trimmed)
    if plain is not False:
        return _field(name, trimmed.cast(pa.int64()))
    if digits is not False:
        return replace(_field(name, trimmed), numbers=_field(name, floats))
    return _field(name, texts if floats is None else floats)


def _field(name: str, values: Any) -> Field:
    leaf = Leaf(name, (), values.type, 0)
    return Field(
        name=name,
        rows=len(values),
        dtype="text" if leaf.kind == "U" else str(values.type),
        kind=leaf.kind,
        row_shape=(),
        read=lambda a, b: decoded(values.slice(a, b - a), leaf, (), a),
    )


def _floats(texts: Any) -> Any | None:
    try:
        return texts.cast(pa.float64())
    except pa.ArrowInvalid:
        return None


def open_ecsv(path: Path) -> Source:
    """As astropy writes and reads it: with types, units and masks.

    Raises:
        InputError: it is none.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of headers that are not quite to the standard
            table = Table.read(path, format="ascii.ecsv")
    except (OSError, ValueError) as error:
        raise unreadable(path, error) from error
    fields = with_bands(table_columns(table, {}), table.meta)
    return Source(path, "ecsv", keyed(fields), dict(table.meta))


def open_votable(path: Path) -> Source:
    """All tables of a VOTable, with units and nulls.

    Raises:
        InputError: it is none.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of documents that are not quite to the standard
            found = list(votable.parse(path, verify="ignore").iter_tables())
            tables = [each.to_table() for each in found]
    except (OSError, ValueError) as error:
        raise unreadable(path, error) from error
    fields = []
    for number, (said, table) in enumerate(zip(found, tables, strict=True)):
        name = str(said.name or said.ID or number)
        place = {"place": f"table {name}", "place_names": (name, str(number))}
        fields += table_columns(table, place if len(tables) > 1 else {})
    return Source(path, "votable", keyed(fields))


def table_columns(table: Any, place: Mapping[str, Any]) -> list[Field]:
    """The columns of one of astropy's tables, with units and masks."""
    return [_column(table[name], place) for name in table.colnames if _is_column(table[name])]


def _is_column(column: Any) -> bool:
    """Coordinates and times, which astropy makes of several columns, are none."""
    return isinstance(column, Column) or hasattr(column, "unit")


def _column(column: Any, place: Mapping[str, Any]) -> Field:
    missing = np.array(column.mask) if hasattr(column, "mask") else None
    data = _plain(np.ma.getdata(np.asarray(getattr(column, "data", column))))
    return Field(
        name=str(column.info.name),
        rows=len(data),
        dtype="text" if data.dtype.kind in "SU" else str(data.dtype),
        kind=data.dtype.kind,
        row_shape=data.shape[1:],
        read=lambda a, b: Values(data[a:b], None if missing is None else missing[a:b]),
        unit=str(column.unit or ""),
        **place,
    )


def _plain(data: Array) -> Array:
    """Texts of any length are objects to astropy."""
    if data.dtype.kind == "O" and all(isinstance(v, str | bytes) for v in data.flat):
        return np.array([v.decode() if isinstance(v, bytes) else v for v in data.flat], "U")
    return data
