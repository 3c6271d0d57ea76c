"""The catalogue's two files, Parquet and FITS, written from the same rows as these come."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from types import TracebackType
from typing import Self

import pyarrow as pa
import pyarrow.parquet as pq

from cosmic.contracts.bands import BANDS, Bands
from cosmic.contracts.catalogue_schema import FEW_VALUES, schema_of
from cosmic.contracts.flags import MEANINGS, Flag
from cosmic.results.fits_table import FitsTable
from cosmic.storage.objects import Output

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


def row_groups(tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """The same rows in groups of `ROW_GROUP_ROWS`, the last smaller, in contiguous columns."""
    pending: list[pa.Table] = []
    rows = 0
    for table in tables:
        pending.append(table)
        rows += table.num_rows
        while rows >= ROW_GROUP_ROWS:
            whole = pa.concat_tables(pending)
            yield whole.slice(0, ROW_GROUP_ROWS).combine_chunks()
            pending, rows = [whole.slice(ROW_GROUP_ROWS)], rows - ROW_GROUP_ROWS
    if rows:
        yield pa.concat_tables(pending).combine_chunks()
