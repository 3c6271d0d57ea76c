"""The catalogue's two files, Parquet and FITS, written from the same rows as these come."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from cosmic.contracts.bands import BANDS, Bands
from cosmic.contracts.catalogue_columns import Rows
from cosmic.contracts.catalogue_schema import FEW_VALUES, schema_of, table_of
from cosmic.contracts.flags import MEANINGS, Flag
from cosmic.results.fits_table import FitsTable
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
        self._parquet = pq.ParquetWriter(
            parquet,
            schema_of(id_bytes, bands),
            compression="zstd",
            use_dictionary=FEW_VALUES,
        )
        self._fits = FitsTable(fits, id_bytes, bands, provenance)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._parquet.close()

    def write(self, group: pa.Table) -> None:
        """Append a group of rows of the catalogue's schema."""
        self._parquet.write_table(group)
        self._fits.write(group)

    def finish(self, provenance: Mapping[str, str | int]) -> None:
        """Write what the flags mean and the provenance.

        Both go into the Parquet metadata (`cosmic.flag.N` for bit N) and FITS keywords (`FLAGN`),
        whose values are ASCII: other characters are percent-encoded as in a URI.
        """
        meanings = {f"cosmic.flag.{flag.value}": f"{flag.name}: {MEANINGS[flag]}" for flag in Flag}
        self._parquet.add_key_value_metadata(
            {k: str(v) for k, v in {**meanings, **provenance}.items()}
        )
        self._fits.finish(provenance)


def row_groups(blocks: Iterable[Rows]) -> Iterator[pa.Table]:
    """The same rows as tables of `ROW_GROUP_ROWS` rows, the last smaller, in contiguous columns."""
    pending: list[Rows] = []
    missing = ROW_GROUP_ROWS
    for block in blocks:
        begin = 0
        while len(block) - begin >= missing:
            yield table_of(_together([*pending, block[begin : begin + missing]]))
            pending, begin, missing = [], begin + missing, ROW_GROUP_ROWS
        pending.append(block[begin:])
        missing -= len(block) - begin
    if missing < ROW_GROUP_ROWS:
        yield table_of(_together(pending))


def _together(blocks: Sequence[Rows]) -> Rows:
    """Rows of all blocks; as bytes, for NumPy takes ten times as long column by column.

    Text ids take as many bytes as the longest of their own partition: the widest rows hold all.
    """
    kind = max((block.dtype for block in blocks), key=lambda each: each.itemsize)
    same = [block.astype(kind, copy=False) for block in blocks]
    return np.concatenate([block.view(np.uint8) for block in same]).view(kind)
