"""The catalogue's two files, Parquet and FITS, written from the same rows as these come."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

import fitsio
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from cosmic.contracts.catalogue_schema import COLUMNS, schema_of
from cosmic.contracts.flags import MEANINGS, Flag

ROW_GROUP_ROWS = 65_536
FITS_EXTENSION = "CATALOGUE"
ASCII = "".join(map(chr, range(0x20, 0x7F)))  # what a FITS header holds


class CatalogueWriter:
    """Writes rows to both files; a context manager.

    Row groups are cut every `ROW_GROUP_ROWS` rows, however the rows come in, so that equal rows
    give equal files.

    Args:
        id_bytes: Bytes of the longest id if ids are text; None: they are whole numbers.
    """

    def __init__(self, parquet: Path, fits: Path, id_bytes: int | None = None) -> None:
        self._schema, self._row = schema_of(id_bytes), _fits_dtype(id_bytes)
        self._parquet = pq.ParquetWriter(parquet, self._schema, compression="zstd")
        self._fits = fitsio.FITS(str(fits), "rw", clobber=True)
        self._fits.create_table_hdu(
            np.empty(0, self._row),
            units=[c.unit for c in COLUMNS.values()],
            extname=FITS_EXTENSION,
        )
        self._pending: list[pa.Table] = []
        self.rows = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._parquet.close()
        self._fits.close()

    def write(self, table: pa.Table) -> None:
        """Append rows of the catalogue's schema."""
        self.rows += table.num_rows
        self._pending.append(table)
        if sum(t.num_rows for t in self._pending) >= ROW_GROUP_ROWS:
            self._flush(ROW_GROUP_ROWS)

    def finish(self, provenance: Mapping[str, str | int]) -> None:
        """Write what is pending, and what the flags mean and the provenance.

        Both go into the Parquet metadata (`cosmic.flag.N` for bit N) and FITS keywords (`FLAGN`),
        whose values are ASCII: other characters are percent-encoded as in a URI.
        """
        self._flush(1)
        meanings = {f"cosmic.flag.{flag.value}": f"{flag.name}: {MEANINGS[flag]}" for flag in Flag}
        self._parquet.add_key_value_metadata(
            {k: str(v) for k, v in {**meanings, **provenance}.items()}
        )
        hdu = self._fits[FITS_EXTENSION]
        for flag in Flag:
            hdu.write_key(f"FLAG{flag.value}", flag.name, comment=MEANINGS[flag])
        for i, info in enumerate(COLUMNS.values(), start=1):
            hdu.write_key(f"TUCD{i}", info.ucd, comment=info.description[:40])
        for name, value in provenance.items():
            keyword = name.upper().removeprefix("COSMIC.")[:8].replace(".", "")
            hdu.write_key(keyword, quote(value, ASCII) if isinstance(value, str) else value)

    def _flush(self, least: int) -> None:
        pending = pa.concat_tables([self._schema.empty_table(), *self._pending])
        while pending.num_rows >= least:
            group = pending.slice(0, ROW_GROUP_ROWS)
            self._parquet.write_table(group)
            self._fits[FITS_EXTENSION].append(_fits_rows(group, self._row))
            pending = pending.slice(ROW_GROUP_ROWS)
        self._pending = [pending]


def _fits_dtype(id_bytes: int | None) -> np.dtype[Any]:
    kinds = {name: info.type.to_pandas_dtype() for name, info in COLUMNS.items()}
    if id_bytes is not None:
        kinds["object_id"] = f"S{id_bytes}"
    return np.dtype(list(kinds.items()))


def _fits_rows(table: pa.Table, dtype: np.dtype[Any]) -> NDArray[Any]:
    rows = np.empty(table.num_rows, dtype)
    for name in COLUMNS:
        rows[name] = table[name].to_numpy(zero_copy_only=False)
    return rows
