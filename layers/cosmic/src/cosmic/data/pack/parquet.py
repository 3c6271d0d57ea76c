"""Parquet, read by Arrow in batches: numbers, lists, tensors and structs of them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from cosmic.data.pack.arrow import Leaf, common_shape, decoded, leaves
from cosmic.data.pack.bands import said_bands, with_bands
from cosmic.data.pack.source import Field, Shape, Source, Values, keyed, unreadable
from cosmic.data.pack.units import astropy_meta, astropy_units, said_unit, votable_units

BATCH_ROWS = 1024
BUFFER_BYTES = 1 << 20
ASTROPY_META = b"table_meta_yaml"
VOTABLE_META = b"IVOA.VOTable-Parquet.content"
NOT_SHOWN = (b"pandas", b"ARROW:schema", ASTROPY_META, VOTABLE_META)


def open_parquet(path: Path) -> Source:
    """A Parquet file; a range of rows is read in batches, not by whole row groups.

    Raises:
        InputError: it is none.
    """
    try:
        # Pages are read as they are needed: a row group may be the whole file.
        file = pq.ParquetFile(path, pre_buffer=False, buffer_size=BUFFER_BYTES)
        said = file.schema_arrow.metadata or {}
        units = _units(said)
        fields = [
            field
            for column in file.schema_arrow
            for field in _fields(path, file, column, units.get(column.name, ""))
        ]
    except (OSError, pa.ArrowInvalid) as error:
        raise unreadable(path, error) from error
    fields += _range_indices(file)
    metadata = _texts({k: v for k, v in said.items() if k not in NOT_SHOWN}) | _meta(said)
    fields = with_bands(fields, metadata)
    return Source(path, "parquet", keyed(fields), metadata, file.close)


def _texts(said: Mapping[bytes, bytes]) -> dict[str, str]:
    return {k.decode(errors="replace"): v.decode(errors="replace") for k, v in said.items()}


def _units(said: Mapping[bytes, bytes]) -> dict[str, str]:
    """Units by column that the writer keeps for the whole file."""
    if ASTROPY_META in said:
        return astropy_units(said[ASTROPY_META].decode().split("\n"))
    return votable_units(said[VOTABLE_META]) if VOTABLE_META in said else {}


def _meta(said: Mapping[bytes, bytes]) -> dict[str, Any]:
    return astropy_meta(said[ASTROPY_META].decode().split("\n")) if ASTROPY_META in said else {}


def _range_indices(file: pq.ParquetFile) -> list[Field]:
    """Named indices of pandas that count up evenly, which it writes as three numbers alone."""
    said = json.loads((file.schema_arrow.metadata or {}).get(b"pandas", b"{}"))
    rows = file.metadata.num_rows
    found = []
    for index in said.get("index_columns", []):
        if not isinstance(index, dict) or index.get("kind") != "range" or not index.get("name"):
            continue
        counted = range(index["start"], index["stop"], index["step"])
        if len(counted) == rows:
            found.append(_counted(str(index["name"]), counted))
    return found


def _counted(name: str, counted: range) -> Field:
    def read(start: int, stop: int) -> Values:
        return Values(np.array(counted[start:stop], np.int64))

    return Field(name, len(counted), "int64", "i", (), read)


def _fields(path: Path, file: pq.ParquetFile, column: pa.Field, unit: str) -> Iterator[Field]:
    rows = file.metadata.num_rows
    said = _texts(column.metadata or {})
    unit = said_unit(said) or unit
    for leaf in leaves(column.name, column.type):
        reader = _Reader(path, file, column.name, leaf)
        yield Field(
            name=leaf.name,
            rows=rows,
            dtype=str(leaf.type),
            kind=leaf.kind,
            row_shape=reader.shape,
            read=reader.rows,
            unit=unit,
            bands=said_bands(said),
        )


class _Reader:
    """Reads one field forwards; a range before the last one starts again at the top."""

    def __init__(self, path: Path, file: pq.ParquetFile, column: str, leaf: Leaf) -> None:
        self._path, self._file, self._column, self._leaf = path, file, column, leaf
        self._restart()
        self.shape: Shape = self._first_shape() if leaf.depth else ()

    def rows(self, start: int, stop: int) -> Values:
        """Rows as their type says.

        Raises:
            RowsRefused: rows of another shape than the first.
            InputError: the file is damaged.
        """
        try:
            found = self._taken(start, stop)
        except (OSError, pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            raise unreadable(self._path, f"{self._column}: {error}") from error
        return decoded(found, self._leaf, self.shape, start)

    def _restart(self) -> None:
        self._at = 0  # number of the first row held
        self._held: list[Any] = []
        self._batches: Iterator[Any] | None = None

    def _next(self) -> Any | None:
        if self._batches is None:
            self._batches = self._file.iter_batches(BATCH_ROWS, columns=[self._column])
        batch = next(self._batches, None)
        return (
            None
            if batch is None
            else batch.column(max(0, batch.schema.get_field_index(self._column)))
        )

    def _taken(self, start: int, stop: int) -> Any:
        if start < self._at:
            self._restart()
        while self._at + sum(map(len, self._held)) < stop:
            if (batch := self._next()) is None:
                break
            self._held.append(batch)
            self._drop(start)
        whole = pa.chunked_array(self._held, self._held[0].type if self._held else pa.null())
        found = whole.slice(start - self._at, stop - start).combine_chunks()
        self._drop(stop)
        return found.combine_chunks() if isinstance(found, pa.ChunkedArray) else found

    def _drop(self, start: int) -> None:
        """Let go of what lies before a row; what is left of a batch stays."""
        while self._held and self._at + len(self._held[0]) <= start:
            self._at += len(self._held.pop(0))

    def _first_shape(self) -> Shape:
        """Of the first batch that has values; columns of nothing but nulls have none."""
        found: Shape | None = None
        while found is None and (batch := self._next()) is not None:
            found = common_shape(batch, self._leaf)
        self._restart()
        return (None,) * self._leaf.depth if found is None else found
