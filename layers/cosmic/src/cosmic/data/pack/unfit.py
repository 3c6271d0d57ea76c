"""What keeps fields from being a column: their units, types, shapes and lengths."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from cosmic.contracts.bands import Bands
from cosmic.contracts.columns import partition_columns
from cosmic.data.pack.layout import image_layout
from cosmic.data.pack.source import Field, Shape, Source, is_number, where_of
from cosmic.data.pack.units import WANTED
from cosmic.errors import Problem

NEEDED = ("image", "mag")
KINDS = {"object_id": "iuSU"}
NUMBERS = "iuf"
LOOKED_AT = 4096  # rows of a column of texts


def problem_of(
    source: Source, message: str, code: str, hint: str, value: str | None = None
) -> Problem:
    """One thing that is in the way of taking a file's columns."""
    return Problem(str(source.path), message, value, hint, code)


def unfit(
    source: Source,
    column: str,
    fields: Sequence[Field],
    factors: Sequence[float | None],
    bands: Bands,
) -> list[Problem]:
    """Everything of a unit, a type or a shape that a column can't have.

    Args:
        source: The file.
        column: What the fields would become.
        fields: One, or one a band.
        factors: What turns each of them into the column's unit; None: nothing does.
        bands: That are wanted.
    """
    problems = _bad_units(source, column, fields, factors)
    problems += [
        _bad_kind(source, column, each)
        for each in fields
        if each.kind not in KINDS.get(column, NUMBERS) and each.rows
    ]
    shape = fields[0].row_shape if len(fields) == 1 else (len(fields), *fields[0].row_shape)
    if fields[0].rows and not _fits(column, shape, fields[0], len(bands)):
        problems.append(_bad_shape(source, column, shape, fields, len(bands)))
    return problems


def _bad_units(
    source: Source, column: str, fields: Sequence[Field], factors: Sequence[float | None]
) -> list[Problem]:
    way_out = (
        "give --image-scale"
        if column == "image"
        else f"convert it to {WANTED.get(column) or 'a plain number'}"
    )
    if column not in NEEDED:
        way_out += f", or leave it out with --without {column}"
    problems = []
    for each in (f for f, by in zip(fields, factors, strict=True) if by is None):
        what = "its pixels are" if column == "image" else f"{_called(column, each)} is"
        message = f"{what} in {each.unit}"
        problems.append(problem_of(source, message, "bad-unit", way_out, each.unit))
    if len(set(factors) - {None}) > 1:
        units = ", ".join(f"{f.name} in {f.unit or 'no unit'}" for f in fields)
        message = f"{column}'s bands differ: {units}"
        problems.append(problem_of(source, message, "bad-unit", way_out))
    return problems


def _called(column: str, each: Field) -> str:
    return each.where if each.name == column else f"{column} ({each.where})"


def _bad_kind(source: Source, column: str, each: Field) -> Problem:
    is_text = each.kind in "SU" and "binary" not in each.dtype
    dtype = "text" if is_text else each.dtype
    if (odd := _first_odd(each)) is not None:
        row, text = odd
        message = f"{_called(column, each)} has the text {text!r} in row {row}, counted from 0"
        hint = "write a number there, or nothing where there is none"
        hint += "" if column in NEEDED else f", or --without {column}"
        return problem_of(source, message, "bad-partition", hint, text)
    if column == "object_id":
        hint = "give whole numbers or text, or --number-objects"
        return problem_of(source, f"object_id is {each.dtype}", "bad-partition", hint, each.dtype)
    if each.kind == "O":
        hint = "convert it to float32" + ("" if column in NEEDED else f", or --without {column}")
        message = f"{_called(column, each)} is {dtype}, which is not supported"
        return problem_of(source, message, "bad-partition", hint, each.dtype)
    hint = "give numbers" + ("" if column in NEEDED else f", or --without {column}")
    such = f", such as {text!r}" if is_text and (text := _first_text(each)) else ""
    message = f"{_called(column, each)} is {dtype}{such}, not numbers"
    return problem_of(source, message, "bad-partition", hint, each.dtype)


def _first_text(each: Field) -> str:
    """The first text; empty: none of the first rows has one."""
    values = each.read(0, min(each.rows, LOOKED_AT))
    return next((_text(v) for v in values.data[~values.missing_rows()].reshape(-1)), "")


def _first_odd(each: Field) -> tuple[int, str] | None:
    """The first text that is no number among texts of which others are; None: none is a number."""
    if each.kind not in "SU" or each.row_shape:
        return None
    values = each.read(0, min(each.rows, LOOKED_AT))
    known = [(row, _text(values.data[row])) for row in np.flatnonzero(~values.missing_rows())]
    odd = [(int(row), text) for row, text in known if not is_number(text)]
    return odd[0] if 0 < len(odd) < len(known) else None


def _text(value: Any) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


def _fits(column: str, shape: Shape, each: Field, n_bands: int) -> bool:
    if column == "image":
        return image_layout(shape, len(each.bands) or n_bands) is not None or len(shape) == 3
    wanted = partition_columns(n_bands)[column].row_shape
    if None in shape or (not wanted and shape == (1,)):
        return True  # told by rows when they are read
    return shape == wanted or (column in ("mag", "mag_err") and shape == (len(each.bands),))


def _bad_shape(
    source: Source, column: str, shape: Shape, fields: Sequence[Field], n_bands: int
) -> Problem:
    wanted = {"image": f"({n_bands}, height, width)", "mag": f"({n_bands},)"}
    wanted["mag_err"] = wanted["mag"]
    names = _called(column, fields[0]) if len(fields) == 1 else f"{column} ({where_of(fields)})"
    message = f"{names} has shape {list(shape)} per row"
    hint = f"it takes {wanted.get(column, 'one number')} per row"
    if column in ("mag", "mag_err"):
        hint += f"; fields of one band each are named with commas, --column {column}=a,b,c,…"
    return problem_of(source, message, "bad-partition", hint)


def unequal(source: Source, fields: Iterable[Field]) -> list[Problem]:
    """Whether fields differ in length."""
    lengths = {f.where: f.rows for f in fields}
    if len(set(lengths.values())) < 2:
        return []
    said = ", ".join(f"{where} {rows:,}" for where, rows in lengths.items())
    message = f"columns differ in length: {said} rows"
    return [problem_of(source, message, "bad-partition", "give one row per object")]
