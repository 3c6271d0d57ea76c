"""What every file of data looks like to a packer: named fields, read by row range.

A reader yields what the file *means*: scales are applied, and what the file marks as missing is
marked here. Everything after works on that alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cosmic.errors import InputError

Array = NDArray[Any]
Shape = tuple[int | None, ...]
SHOWN_ROWS = 5
MASK_SUFFIX = ".mask"
ODD_ROWS = "correct these rows, or leave them out"


@dataclass(frozen=True)
class Values:
    """Rows of one field, as the file means them.

    Attributes:
        data: Rows first; where a value is missing it holds anything.
        missing: Booleans, one a row (rows,) or one a value (the shape of `data`); None: the file
            marks nothing as missing.
    """

    data: Array
    missing: Array | None = None

    def missing_values(self) -> Array:
        """One boolean a value, in the shape of `data`."""
        if self.missing is None:
            return np.zeros(self.data.shape, bool)
        more = self.data.ndim - self.missing.ndim
        whole: Array = np.broadcast_to(
            self.missing.reshape(self.missing.shape + (1,) * more), self.data.shape
        )
        return whole

    def missing_rows(self) -> Array:
        """One boolean a row: nothing of it is there."""
        if self.missing is None:
            return np.zeros(len(self.data), bool)
        within = tuple(range(1, self.missing.ndim))
        whole: Array = np.logical_and.reduce(self.missing, axis=within)
        return whole


@dataclass(frozen=True)
class Field:
    """One field of a file.

    Attributes:
        name: As the file spells it, without its place.
        rows: Length of its first axis.
        dtype: Of its values, as NumPy or the format names it.
        kind: NumPy's letter for this kind of dtype; `O` for what is neither number nor text.
        row_shape: Shape of one row; empty for a number; None for an axis that isn't known.
        read: Rows from the first number up to and without the second.
        unit: As the file says it, or an empty string.
        place: Where it lies in a file of several places (an HDU, a group), for messages.
        place_names: What a person may call that place.
        cube: Whether it is an image of its own that belongs to no table.
        bands: Names of the bands on its axis, if the file says them of this field.
        numbers: The same as numbers, where the file has no types and these are digits such as
            `007`, which an id has to keep.
    """

    name: str
    rows: int
    dtype: str
    kind: str
    row_shape: Shape
    read: Callable[[int, int], Values]
    unit: str = ""
    place: str = ""
    place_names: tuple[str, ...] = ()
    cube: bool = False
    bands: tuple[str, ...] = ()
    numbers: Field | None = None

    @property
    def where(self) -> str:
        """Name and place, for people."""
        if not self.place:
            return self.name
        return self.place if self.cube else f"{self.name} of {self.place}"


def where_of(fields: Sequence[Field]) -> str:
    """Names of fields for people, and the place of a single one."""
    return fields[0].where if len(fields) == 1 else ", ".join(f.name for f in fields)


@dataclass(frozen=True)
class Joined:
    """Cutouts of the rows of a catalogue.

    Attributes:
        field: Their pixels; NaN in rows without one.
        used: The files that rows have.
        lacking: How many rows have none.
    """

    field: Field
    used: frozenset[Path]
    lacking: int


@dataclass(frozen=True)
class Source:
    """An open file of data.

    Attributes:
        path: The file, or the folder of `.npy` files.
        format: Its format's name.
        fields: By a name that is unique in the file: the field's own, or `place/name`.
        metadata: What else the file says of itself.
        close: Lets go of the file.
    """

    path: Path
    format: str
    fields: Mapping[str, Field]
    metadata: Mapping[str, Any] = field(default_factory=dict)
    close: Callable[[], None] = lambda: None

    @property
    def rows(self) -> int:
        """The length that most fields have; of equally many, the first field's."""
        lengths = [f.rows for f in self.fields.values()]
        return max(lengths, key=lengths.count, default=0)


def joined(parts: Sequence[Values]) -> Values:
    """One field a band, as one."""
    if len(parts) == 1:
        return parts[0]
    data = np.stack([p.data for p in parts], axis=1)
    if all(p.missing is None for p in parts):
        return Values(data)
    return Values(data, np.stack([p.missing_values() for p in parts], axis=1))


class RowsRefused(InputError):  # noqa: N818
    """Some rows of a field can't be what they have to be.

    Attributes:
        what: What is wrong, without the rows.
        rows: All of them, counted from 0 in the file.
        seen: The value seen in each of the first rows; empty: there is none to show.
    """

    code = "bad-rows"

    def __init__(
        self, what: str, rows: Sequence[int] | Array, seen: Sequence[str] = (), hint: str = ""
    ) -> None:
        self.what, self.rows, self.seen = what, [int(r) for r in rows], list(seen)
        super().__init__(f"{what}: {shown_rows(self.rows, self.seen)}", hint=hint)


def shown_rows(rows: Sequence[int], seen: Sequence[str], count: int | None = None) -> str:
    """Such as `row 3 ('007'), counted from 0`, or `rows 3, 5, … (12 rows, counted from 0)`."""
    count = len(rows) if count is None else count
    values = [f" ({text})" for text in seen]
    values += [""] * (SHOWN_ROWS - len(values))
    shown = ", ".join(f"{row}{text}" for row, text in zip(rows[:SHOWN_ROWS], values, strict=False))
    if count == 1:
        return f"row {shown}, counted from 0"
    return f"rows {shown}{', …' if count > SHOWN_ROWS else ''} ({count:,} rows, counted from 0)"


def is_number(text: str) -> bool:
    """Whether Python reads a number in this text."""
    try:
        float(text)
    except ValueError:
        return False
    return True


def unreadable(path: Path, why: object) -> InputError:
    """The error for a file that is not what its name says."""
    hint = "check that it is complete and has the format that its name says"
    return InputError(f"{path}: {why}", code="bad-partition", hint=hint)


def keyed(fields: Iterable[Field]) -> dict[str, Field]:
    """Fields by a unique name, masks that lie beside their fields applied.

    Names that occur in one place only stay as they are. Two fields of one name in one place both
    stay, the second as `name#2`: whoever needs the name is told of both.
    """
    found = _masked(list(fields))
    plain = len({f.place for f in found}) < 2
    named: dict[str, Field] = {}
    for each in found:
        at = each.place_names[0] if each.place_names else ""
        key = each.name if plain or each.cube or not at else f"{at}/{each.name}"
        while key in named:
            base, _, number = key.partition("#")
            key = f"{base}#{int(number or 1) + 1}"
        named[key] = each
    return named


def _masked(fields: list[Field]) -> list[Field]:
    """`x.mask` of booleans beside `x`, as astropy writes masked columns, is no field of its own."""
    masks = {(f.place, f.name): f for f in fields if f.kind == "b"}
    pairs = {}
    for each in fields:
        if mask := _fitting(each, masks.get((each.place, each.name + MASK_SUFFIX))):
            pairs[id(each)] = mask
    used = {id(mask) for mask in pairs.values()}
    return [
        replace(f, read=_with_mask(f, pairs[id(f)])) if id(f) in pairs else f
        for f in fields
        if id(f) not in used
    ]


def _fitting(values: Field, mask: Field | None) -> Field | None:
    """A mask if it has one boolean a row or a value of the field."""
    if mask is None or mask.rows != values.rows:
        return None
    return mask if mask.row_shape == values.row_shape[: len(mask.row_shape)] else None


def _with_mask(values: Field, mask: Field) -> Callable[[int, int], Values]:
    def read(start: int, stop: int) -> Values:
        found = values.read(start, stop)
        masked = Values(found.data, mask.read(start, stop).data)
        return Values(found.data, found.missing_values() | masked.missing_values())

    return read


def array_fields(
    name: str, array: Any, dtype: np.dtype[Any], shape: tuple[int, ...], **more: Any
) -> list[Field]:
    """The fields of something that is sliced like an array: one, or one for each part of its
    records; of records in records, `outer.inner`.

    Args:
        name: Of the array.
        array: What gives rows when it is sliced.
        dtype: Its dtype.
        shape: Its shape; rows first.
        more: What else a `Field` has.
    """
    return [
        Field(
            name=".".join(parts) or name,
            rows=shape[0],
            dtype=str(base),
            kind=base.kind,
            row_shape=(*shape[1:], *inner),
            read=_part_reader(array, parts),
            **more,
        )
        for parts, base, inner in _parts(dtype)
    ]


def _parts(
    dtype: np.dtype[Any], parts: tuple[str, ...] = (), around: tuple[int, ...] = ()
) -> Iterator[tuple[tuple[str, ...], np.dtype[Any], tuple[int, ...]]]:
    """The numbers and texts in a dtype: names that lead to them, their dtype, their shape."""
    base, shape = dtype.base, (*around, *dtype.shape)
    if base.names is None:
        yield parts, base, shape
    for name in base.names or ():
        yield from _parts(base[name], (*parts, name), shape)


def part_of(dtype: np.dtype[Any], name: str) -> np.dtype[Any]:
    """The dtype of the field of records that has this name, such as `outer.inner`."""
    return next(base for parts, base, _ in _parts(dtype) if ".".join(parts) == name)


def _part_reader(array: Any, parts: tuple[str, ...]) -> Callable[[int, int], Values]:
    def read(start: int, stop: int) -> Values:
        found = np.asarray(array[start:stop])
        for part in parts:
            found = found[part]
        return Values(found)

    return read


def stacked(rows: Sequence[Array], name: str, start: int, shape: Shape) -> Array:
    """Arrays of rows that must be of one shape, as one.

    Args:
        rows: One array a row.
        name: Of the field.
        start: Number of the first row.
        shape: What each has to have.

    Raises:
        RowsRefused: rows of another shape.
    """
    odd = [i for i, row in enumerate(rows) if np.shape(row) != shape]
    if odd:
        seen = [str(list(np.shape(rows[i]))) for i in odd[:SHOWN_ROWS]]
        what = f"{name} is not of shape {list(shape)} like its first row"
        raise RowsRefused(what, [start + i for i in odd], seen, ODD_ROWS)
    return np.stack(rows)
