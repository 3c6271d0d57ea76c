"""A catalogue's rows, put in files by place on the sky: more rows than memory holds.

They are read twice, in groups: once to count them, once to append each to the file of its strip,
which is a part of a tile that is small enough to be sorted in memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from cosmic.contracts.arrow_values import values_of
from cosmic.contracts.bands import bands_of_columns
from cosmic.contracts.catalogue_columns import Rows, row_dtype
from cosmic.contracts.catalogue_schema import in_schema
from cosmic.contracts.text_ids import MOST_BYTES
from cosmic.errors import InputError
from cosmic.results.catalogue_files import ROW_GROUP_ROWS
from cosmic.results.hats.healpix import (
    FACES,
    ORDER,
    TILE_ORDER,
    Pixels,
    Tile,
    healpix_index,
    tiles_of,
)

AT_ONCE_ROWS = 4_096  # put together in the processor's cache
POSITION = ["ra", "dec"]
STRIP_ROWS = 2 * ROW_GROUP_ROWS


@dataclass(frozen=True)
class SkyCount:
    """Where rows lie.

    Attributes:
        tiles: In which they are, in the order of the sky.
        strips: First pixels of `TILE_ORDER` (S,) of parts of tiles that are sorted at once, in
            their order; the first of each tile is among them.
        rows_without_position: Rows that lie in none.
    """

    tiles: tuple[Tile, ...]
    strips: Pixels
    rows_without_position: int

    @property
    def rows(self) -> int:
        """Rows in tiles."""
        return sum(tile.rows for tile in self.tiles)

    @classmethod
    def of(cls, catalogue: pq.ParquetFile, tile_rows: int) -> Self:
        """Count rows, in tiles of at most so many rows where `TILE_ORDER` allows."""
        counts = np.zeros(FACES << 2 * TILE_ORDER, np.int64)
        for group in range(catalogue.num_row_groups):
            table = _read(catalogue, group, POSITION)
            found = _tile_pixels(*(values_of(table[name]) for name in POSITION))
            np.add.at(counts, found[found >= 0], 1)
        tiles = sorted(tiles_of(counts, tile_rows), key=lambda tile: tile.first)
        strips = np.concatenate([np.empty(0, np.int64), *(_strips(t, counts) for t in tiles)])
        return cls(tuple(tiles), strips, catalogue.metadata.num_rows - int(counts.sum()))


def _strips(tile: Tile, counts: NDArray[np.int64]) -> Pixels:
    """Where a tile is cut so that each part has about `STRIP_ROWS` rows."""
    until = np.cumsum(counts[tile.first : tile.end])
    cuts = np.searchsorted(until, np.arange(STRIP_ROWS, tile.rows, STRIP_ROWS)) + 1
    return tile.first + np.unique(np.append(0, cuts[cuts < len(until)]))


class SkyRows:
    """Rows by strip, in a folder.

    Args:
        catalogue: Has the rows.
        count: Of them.
        folder: Gets a file a strip: as many bytes in all as the rows have.
    """

    def __init__(self, catalogue: pq.ParquetFile, count: SkyCount, folder: Path) -> None:
        self._count, self._folder = count, folder
        self._dtype = _dtype_of(catalogue)
        for group in range(catalogue.num_row_groups):
            self._append(_rows_of(in_schema(_read(catalogue, group)), self._dtype))

    def _append(self, rows: Rows) -> None:
        pixels, strips = _tile_pixels(rows["ra"], rows["dec"]), self._count.strips
        # -1 where there is no position, which is before the first strip: none.
        strip = np.searchsorted(strips, pixels, "right").astype(np.int32) - 1
        order = np.argsort(strip, kind="stable")
        starts = np.searchsorted(strip[order], np.arange(len(strips) + 1))
        by_strip = rows[order].view(np.uint8).reshape(len(rows), -1)
        for number in np.flatnonzero(np.diff(starts)).tolist():
            with self._path(number).open("ab") as file:
                file.write(by_strip[starts[number] : starts[number + 1]].data)

    def __iter__(self) -> Iterator[tuple[Tile, Iterator[tuple[Pixels, Rows]]]]:
        """Each tile and its rows, in groups: the rows (N,), and their pixels of order 29 (N,).

        They are in the order of these pixels, and in that of the catalogue where they share one.
        """
        for tile in self._count.tiles:
            first, end = np.searchsorted(self._count.strips, [tile.first, tile.end]).tolist()
            yield tile, chain.from_iterable(map(self._groups, range(first, end)))

    def _groups(self, strip: int) -> Iterator[tuple[Pixels, Rows]]:
        if not self._path(strip).exists():  # what is behind the last row of a tile
            return
        rows = np.fromfile(self._path(strip), self._dtype)
        self._path(strip).unlink()
        pixels = healpix_index(rows["ra"], rows["dec"])
        order = np.argsort(pixels, kind="stable")
        for group in np.array_split(order, max(1, round(len(rows) / ROW_GROUP_ROWS))):
            yield pixels[group], rows[group]

    def _path(self, strip: int) -> Path:
        return self._folder / f"{strip}.rows"


def bytes_of(catalogue: pq.ParquetFile) -> int:
    """Bytes of the files that `SkyRows` makes."""
    return int(catalogue.metadata.num_rows * _dtype_of(catalogue).itemsize)


def _dtype_of(catalogue: pq.ParquetFile) -> np.dtype[np.void]:
    schema = catalogue.schema_arrow
    texts = pa.types.is_string(schema.field("object_id").type)
    return row_dtype(MOST_BYTES if texts else None, bands_of_columns(schema.names))


def _read(catalogue: pq.ParquetFile, group: int, columns: list[str] | None = None) -> pa.Table:
    try:
        return catalogue.read_row_group(group, columns)
    except (pa.ArrowException, OSError) as error:
        message = f"row group {group} of the catalogue is damaged: {error}"
        raise InputError(message, code="bad-catalogue", hint="copy or make it again") from error


def _rows_of(table: pa.Table, dtype: np.dtype[np.void]) -> Rows:
    """The same rows, as they lie in a shard."""
    columns = {name: values_of(table[name]) for name in table.column_names}
    rows = np.empty(table.num_rows, dtype)
    for start in range(0, len(rows), AT_ONCE_ROWS):
        part = slice(start, start + AT_ONCE_ROWS)
        for name, values in columns.items():
            rows[name][part] = values[part]
    return rows


def _tile_pixels(ra: NDArray[np.float64], dec: NDArray[np.float64]) -> Pixels:
    """Pixels of `TILE_ORDER` (N,) in which positions lie; -1 of those that are unknown."""
    known = np.isfinite(ra) & np.isfinite(dec)
    pixels = np.full(len(ra), -1)
    pixels[known] = healpix_index(ra[known], dec[known]) >> 2 * (ORDER - TILE_ORDER)
    return pixels
