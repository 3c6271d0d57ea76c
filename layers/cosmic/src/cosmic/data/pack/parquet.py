"""Parquet: numbers, and images and magnitudes as lists of one length."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from cosmic.data.pack.source import Array, Field, Source, unreadable


def open_parquet(path: Path) -> Source:
    """A Parquet file, read by the row groups that a range lies in.

    Raises:
        InputError: it is none.
    """
    try:
        file = pq.ParquetFile(path)
    except (OSError, pa.ArrowInvalid) as error:
        raise unreadable(path, error) from error
    reader = _Reader(path, file)
    fields = {column.name: reader.field(column) for column in file.schema_arrow}
    said = file.schema_arrow.metadata or {}
    metadata = {k.decode(): v.decode(errors="replace") for k, v in said.items() if k != b"pandas"}
    return Source(path, "parquet", file.metadata.num_rows, fields, metadata, file.close)


class _Reader:
    """Reads ranges of one column; keeps the row groups read last."""

    def __init__(self, path: Path, file: pq.ParquetFile) -> None:
        self._path, self._file = path, file
        sizes = [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)]
        self._starts = np.cumsum([0, *sizes])
        self._groups = lru_cache(maxsize=16)(self._read_groups)

    def field(self, column: pa.Field) -> Field:
        unit = (column.metadata or {}).get(b"unit", b"").decode()
        kind, shape = _base(column.type)
        if shape:
            shape = self.rows(column.name, 0, 1).shape[1:]
        return Field(str(kind), shape, lambda a, b: self.rows(column.name, a, b), unit)

    def rows(self, name: str, start: int, stop: int) -> Array:
        first = int(np.searchsorted(self._starts, start, "right")) - 1
        last = int(np.searchsorted(self._starts, stop, "left"))
        column = self._groups(name, first, max(last, first + 1))
        found = column.slice(start - int(self._starts[first]), stop - start)
        values = _array(found)
        if values.ndim > 1 and values.shape[0] != len(found):
            raise unreadable(self._path, f"the lists of {name!r} are not of one length")
        return values

    def _read_groups(self, name: str, first: int, last: int) -> Any:
        last = min(last, self._file.num_row_groups)
        return self._file.read_row_groups(list(range(first, last)), [name])[name].combine_chunks()


def _base(kind: Any) -> tuple[Any, tuple[int, ...]]:
    depth = 0
    while pa.types.is_nested(kind) and hasattr(kind, "value_type"):
        kind, depth = kind.value_type, depth + 1
    return kind, (0,) * depth


def _array(column: Any) -> Array:
    """Rows first; nested lists as one axis, for their values follow each other."""
    rows, values = len(column), column
    while pa.types.is_nested(values.type) and hasattr(values.type, "value_type"):
        values = values.flatten()
    found: Array = values.to_numpy(zero_copy_only=False)
    if values is column or rows == 0:
        return found
    return found.reshape(rows, -1) if len(found) % rows == 0 else found.reshape(1, -1)
