"""The catalogue's two files, Parquet and FITS, written from the same rows as these come."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Self

import numpy as np
import pyarrow as pa

from cosmic.contracts.bands import BANDS, Bands
from cosmic.contracts.catalogue_columns import Rows
from cosmic.contracts.catalogue_schema import FEW_VALUES, schema_of, table_of
from cosmic.contracts.flags import MEANINGS, Flag
from cosmic.results.fits_table import FitsTable
from cosmic.results.parquet_stream import ParquetStream
from cosmic.storage.interfaces import Output

ROW_GROUP_ROWS = 65_536


class CatalogueWriter:
    """Writes rows to both files; a context manager.

    Rows come in groups as `row_groups` cuts them, so that equal rows give equal files.

    Columns whose values rarely repeat have no dictionary: to look for repetitions took four times
    as long as all else, and made the file larger.

    Args:
        parquet: Gets one of the files.
        fits: Gets the other.
        provenance: As it will be at the end, but for its numbers.
        id_bytes: Bytes of the longest id if ids are text; None: they are whole numbers.
        bands: Whose magnitudes it has.
    """

    def __init__(
        self,
        parquet: Output,
        fits: Output,
        provenance: Mapping[str, str | int],
        id_bytes: int | None = None,
        bands: Bands = BANDS,
    ) -> None:
        self._parquet = ParquetStream(
            parquet,
            schema_of(id_bytes, bands),
            compression="zstd",
            use_dictionary=FEW_VALUES,
        )
        self._fits = FitsTable(fits, id_bytes, bands, provenance)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._parquet.close()

    def write(self, group: pa.Table) -> None:
        """Append a group of rows of the catalogue's schema."""
        self._parquet.write(group)
        self._fits.write(group)

    def finish(self, provenance: Mapping[str, str | int]) -> None:
        """Write what the flags mean and the provenance.

        Both go into the Parquet metadata (`cosmic.flag.N` for bit N) and FITS keywords (`FLAGN`),
        whose values are ASCII: other characters are percent-encoded as in a URI.
        """
        meanings = {f"cosmic.flag.{flag.value}": f"{flag.name}: {MEANINGS[flag]}" for flag in Flag}
        self._parquet.add_metadata({k: str(v) for k, v in {**meanings, **provenance}.items()})
        self._fits.finish(provenance)


def row_groups(blocks: Iterable[Rows]) -> Iterator[pa.Table]:
    """The same rows as tables of `ROW_GROUP_ROWS` rows, the last smaller, in contiguous columns."""
    group = _Group()
    for block in blocks:
        begin = 0
        while begin < len(block):
            begin += group.take(block[begin:])
            if group.filled == ROW_GROUP_ROWS:
                yield group.table()
    if group.filled:
        yield group.table()


class _Group:
    """Room for a group of rows, used again and again: no block is held until the group is full."""

    def __init__(self) -> None:
        self._rows: Rows = np.empty(0, np.dtype([]))
        self.filled = 0

    def take(self, block: Rows) -> int:
        """Copy as many rows as there is room for; says how many."""
        self._make_room(block.dtype)
        taken = min(ROW_GROUP_ROWS - self.filled, len(block))
        rows = block[:taken].astype(self._rows.dtype, copy=False)
        room = self._rows[self.filled : self.filled + taken]
        room.view(np.uint8)[:] = rows.view(np.uint8)  # column by column takes ten times as long
        self.filled += taken
        return taken

    def _make_room(self, kind: np.dtype[np.void]) -> None:
        """Text ids take as many bytes as the longest of their own partition: the widest count."""
        if not len(self._rows):
            self._rows = np.empty(ROW_GROUP_ROWS, kind)
        elif kind.itemsize > self._rows.dtype.itemsize:
            self._rows = self._rows.astype(kind)

    def table(self) -> pa.Table:
        """The rows, copied; the room is free then."""
        made = table_of(self._rows[: self.filled])
        self.filled = 0
        return made
