"""A HATS collection while it is written: its Parquet files first, what readers look for last.

collection.properties
catalogue/hats.properties, properties, partition_info.csv
catalogue/dataset/_metadata, _common_metadata
catalogue/dataset/Norder=K/Dir=D/Npix=N.parquet
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice

import pyarrow as pa
import pyarrow.parquet as pq

from cosmic.contracts.catalogue_columns import Rows
from cosmic.contracts.catalogue_schema import FEW_VALUES, table_of
from cosmic.contracts.location import Location
from cosmic.results.hats.healpix import Pixels, Tile
from cosmic.results.hats.properties import (
    INDEX,
    PRIMARY,
    catalogue_properties,
    collection_properties,
)
from cosmic.results.hats.sky_rows import SkyCount
from cosmic.storage.interfaces import Writable

COLLECTION = "collection.properties"
DATASET = "dataset/"
COMMON, FOOTERS = f"{DATASET}_common_metadata", f"{DATASET}_metadata"
PARTITIONS = "partition_info.csv"
DESCRIBED = ("hats.properties", "properties")  # older readers know the second
TILES_IN_A_FOLDER = 10_000
MOST_SHOWN = 3


class CollectionWriter:
    """Writes a collection of one catalogue.

    Args:
        store: Where.
        folder: The collection's.
        schema: Of the catalogue's rows.
        origin: The catalogue's provenance, by `cosmic.*`.
        count: Where its rows lie.
        edition: Part of the name of the catalogue's folder.
    """

    def __init__(
        self,
        store: Writable,
        folder: Location,
        schema: pa.Schema,
        origin: Mapping[str, str],
        count: SkyCount,
        edition: str = "",
    ) -> None:
        self._store, self._folder = store, folder.folder
        self._primary = f"{PRIMARY}-{edition}" if edition else PRIMARY
        index = pa.field(INDEX, pa.int64(), nullable=False)
        self._schema = schema.insert(0, index).with_metadata(dict(origin))
        self._origin, self._count = origin, count
        self._footers: list[pq.FileMetaData] = []
        self.bytes = 0

    def others(self) -> list[str]:
        """Some of what is in the folder and no beginning of this same collection."""
        names = [*map(_file_of, self._count.tiles), COMMON, FOOTERS, PARTITIONS, *DESCRIBED]
        ours, start = {f"{self._primary}/{name}" for name in names}, self._folder.key
        found = (entry.key.removeprefix(start) for entry in self._store.list(self._folder))
        return list(islice((name for name in found if name not in ours), MOST_SHOWN))

    def write_tile(self, tile: Tile, groups: Iterable[tuple[Pixels, Rows]]) -> None:
        """Write the rows of a tile, in groups with their pixels of order 29; they are in order."""
        name, footers = _file_of(tile), list[pq.FileMetaData]()
        output = self._store.writer(self._at(name))
        try:
            with self._parquet(output, footers) as writer:
                for pixels, rows in groups:
                    writer.write_table(self._table(pixels, rows))
            output.send_all()
            output.commit(self._at(name))
        finally:
            output.discard()
        footers[0].set_file_path(name.removeprefix(DATASET))
        self._footers += footers
        self.bytes += self._store.head(self._at(name)).bytes

    def finish(self) -> None:
        """Write what describes the tiles, and at last what makes of the folder a collection."""
        for name, data in self._descriptions():
            self._store.put(self._at(name), data)
        described = collection_properties(self._origin, self._primary, self.bytes).encode()
        self._store.put(Location(self._folder.bucket, f"{self._folder.key}{COLLECTION}"), described)

    def _descriptions(self) -> Iterator[tuple[str, bytes]]:
        tiles = self._count.tiles
        yield COMMON, _parquet_footer(self._schema, ())
        yield FOOTERS, _parquet_footer(self._schema, self._footers)
        lines = ("Norder,Npix", *(f"{tile.order},{tile.pixel}" for tile in tiles))
        yield PARTITIONS, "".join(f"{line}\n" for line in lines).encode()
        left_out = self._count.rows_without_position
        described = catalogue_properties(self._origin, tiles, left_out, self.bytes).encode()
        for name in DESCRIBED:
            yield name, described

    def _table(self, pixels: Pixels, rows: Rows) -> pa.Table:
        index = pa.Array.from_buffers(pa.int64(), len(pixels), [None, pa.py_buffer(pixels)])
        return pa.Table.from_arrays([index, *table_of(rows).columns], schema=self._schema)

    def _parquet(self, output: object, footers: list[pq.FileMetaData]) -> pq.ParquetWriter:
        return pq.ParquetWriter(
            output,
            self._schema,
            compression="zstd",
            use_dictionary=FEW_VALUES,
            column_encoding={INDEX: "DELTA_BINARY_PACKED"},
            metadata_collector=footers,
        )

    def _at(self, name: str) -> Location:
        return Location(self._folder.bucket, f"{self._folder.key}{self._primary}/{name}")


def _file_of(tile: Tile) -> str:
    start = tile.pixel // TILES_IN_A_FOLDER * TILES_IN_A_FOLDER
    return f"{DATASET}Norder={tile.order}/Dir={start}/Npix={tile.pixel}.parquet"


def _parquet_footer(schema: pa.Schema, footers: Sequence[pq.FileMetaData]) -> bytes:
    """A Parquet file without rows: the schema, and where files have which row groups."""
    out = io.BytesIO()
    pq.write_metadata(schema, out, metadata_collector=list(footers))
    return out.getvalue()
