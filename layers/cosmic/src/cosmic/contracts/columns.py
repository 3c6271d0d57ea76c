"""What a partition is made of, whatever its file layout: equally long columns that lie in a file.

The rows of a column follow each other in the file, so a range of rows is a range of bytes.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cosmic.contracts import text_ids
from cosmic.contracts.bands import BANDS, Bands
from cosmic.errors import Problem

ROWS_OF_A_PARTITION = 1_000_000_000  # limit of object_ids that are made up


@dataclass(frozen=True)
class Column:
    """What a column must look like: dtype and the shape of one row (None: any length)."""

    dtype: np.dtype[Any]
    row_shape: tuple[int | None, ...]
    required: bool = True


def partition_columns(n_bands: int) -> dict[str, Column]:
    """The columns of a partition with this number of bands, by name."""
    return {
        "image": Column(np.dtype("<f4"), (n_bands, None, None)),
        "mag": Column(np.dtype("<f4"), (n_bands,)),
        "mag_err": Column(np.dtype("<f4"), (n_bands,)),
        "object_id": Column(np.dtype("<i8"), ()),
        "ra": Column(np.dtype("<f8"), ()),
        "dec": Column(np.dtype("<f8"), ()),
        "z_spec": Column(np.dtype("<f4"), (), required=False),
    }


COLUMNS = partition_columns(len(BANDS))
TEXT_ID = Column(text_ids.STORED, (None,))  # what `object_id` may be in place of whole numbers
REQUIRED = tuple(name for name, column in COLUMNS.items() if column.required)


@dataclass(frozen=True)
class Tensor:
    """Where one column lies in a file.

    Attributes:
        dtype: As stored.
        shape: Rows first.
        offset: Its first byte.
        axes: The order in which the axes of one row are stored, slowest first; None: as in `shape`.
    """

    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    offset: int
    axes: tuple[int, ...] | None = None

    @property
    def row_bytes(self) -> int:
        """Bytes of one row."""
        return math.prod(self.shape[1:]) * self.dtype.itemsize

    def byte_range(self, start: int, stop: int) -> tuple[int, int]:
        """First byte and length of the rows from `start` up to and without `stop`."""
        return self.offset + start * self.row_bytes, (stop - start) * self.row_bytes

    def rows(self, data: memoryview) -> NDArray[Any]:
        """The rows whose bytes these are, C-contiguous; copied only if stored in another order."""
        inner = self.shape[1:]
        flat = np.frombuffer(data, self.dtype)
        if self.axes is None:
            return flat.reshape(-1, *inner)
        stored = flat.reshape(-1, *(inner[a] for a in self.axes))
        back = np.argsort(self.axes)
        return np.ascontiguousarray(stored.transpose(0, *(1 + int(a) for a in back)))


@dataclass(frozen=True)
class Checksums:
    """CRC-32 of a column's bytes, `rows` rows at a time from the first; the last may be fewer."""

    rows: int
    values: dict[str, tuple[int, ...]]


@dataclass(frozen=True)
class Header:
    """A partition's table of contents: rows, columns by name, checksums if the file has any.

    Attributes:
        pixel_arcsec: Side of a pixel; None: it doesn't say.
        bands: Of `image`, `mag` and `mag_err`, in their order.
    """

    rows: int
    tensors: dict[str, Tensor]
    checksums: Checksums | None = None
    pixel_arcsec: float | None = None
    bands: Bands = BANDS

    @property
    def row_bytes(self) -> int:
        """Bytes of one row of all columns, as stored."""
        return sum(t.row_bytes for t in self.tensors.values())

    @property
    def id_bytes(self) -> int | None:
        """Bytes of each id if ids are text; None: they are whole numbers, or made up."""
        ids = self.tensors.get("object_id")
        return ids.row_bytes if ids is not None and ids.dtype == TEXT_ID.dtype else None


def check_columns(
    found: Mapping[str, tuple[np.dtype[Any], tuple[int, ...]]],
    where: str = "",
    required: Iterable[str] = REQUIRED,
    n_bands: int = len(BANDS),
) -> list[Problem]:
    """Compare columns, as (dtype, shape) by name, with those of this number of bands.

    Args:
        where: Names the file.
        required: Columns that have to be there.
    """
    problems = [
        Problem(where, f"column {name!r} is missing", None, f"has {sorted(found)}", "bad-partition")
        for name in required
        if name not in found
    ]
    rows = {shape[0] if shape else 0 for _, shape in found.values()}
    if len(rows) > 1:
        lengths = {name: list(shape) for name, (_, shape) in found.items()}
        problems.append(
            Problem(
                where,
                "columns differ in length",
                lengths,
                "give one row per object",
                "bad-partition",
            )
        )
    for name, (dtype, shape) in found.items():
        problems += _check_column(name, partition_columns(n_bands).get(name), dtype, shape, where)
    return problems


def _check_column(
    name: str, column: Column | None, dtype: np.dtype[Any], shape: tuple[int, ...], where: str
) -> list[Problem]:
    if column is None:
        hint = f"the layout has {', '.join(COLUMNS)}"
        return [Problem(where, f"column {name!r} is unknown", name, hint, "bad-partition")]
    if name == "object_id" and dtype == TEXT_ID.dtype:
        column = TEXT_ID
    problems = []
    if dtype != column.dtype:
        problems.append(
            Problem(where, f"{name} is {dtype}", str(dtype), f"use {column.dtype}", "bad-partition")
        )
    if not _has_shape(column, shape):
        any_size = f"1 to {text_ids.MOST_BYTES}" if column is TEXT_ID else "any"
        want = ("rows", *(any_size if n is None else n for n in column.row_shape))
        problems.append(
            Problem(
                where,
                f"{name} has shape {list(shape)}",
                list(shape),
                f"use ({', '.join(map(str, want))})",
                "bad-partition",
            )
        )
    return problems


def _has_shape(column: Column, shape: tuple[int, ...]) -> bool:
    row_shape = shape[1:]
    if not shape or len(row_shape) != len(column.row_shape):
        return False
    if column is TEXT_ID:
        return 1 <= row_shape[0] <= text_ids.MOST_BYTES
    return all(want in (None, got) for want, got in zip(column.row_shape, row_shape, strict=True))


def completed(
    columns: Mapping[str, NDArray[Any]], partition: int, start: int, n_bands: int = len(BANDS)
) -> dict[str, NDArray[Any]]:
    """The columns in `COLUMNS`' types, text ids as `S`, with those made up that the file lacks.

    A made-up `object_id` is partition x 1,000,000,000 + row, both counted from 0; everything else
    that is lacking is NaN.

    Args:
        columns: Consecutive rows, as stored.
        partition: The partition's index in the plan.
        start: Index in the partition of the first row.
        n_bands: Number of bands of the partition.
    """
    rows = len(columns["image"])
    with np.errstate(over="ignore"):  # what float32 can't hold is missing, as infinity is
        made = {n: _in_its_type(n, c) for n, c in columns.items()}
    for name in (n for n in REQUIRED if n not in made):
        column = partition_columns(n_bands)[name]
        if name == "object_id":
            first = partition * ROWS_OF_A_PARTITION + start
            made[name] = np.arange(first, first + rows, dtype=column.dtype)
        else:
            shape = [n for n in column.row_shape if n is not None]
            made[name] = np.full((rows, *shape), np.nan, column.dtype)
    return made


def _in_its_type(name: str, column: NDArray[Any]) -> NDArray[Any]:
    if name == "object_id" and column.dtype == TEXT_ID.dtype and column.ndim == 2:
        return text_ids.restored_ids(column)
    if name == "object_id" and column.dtype.kind == "S":
        return column
    return column.astype(COLUMNS[name].dtype, copy=False)
