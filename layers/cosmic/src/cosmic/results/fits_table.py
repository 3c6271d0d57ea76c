"""A FITS table of rows that come block by block; the header, which counts them, is written last."""

from __future__ import annotations

import string
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import fitsio
import numpy as np
import pyarrow as pa

from cosmic.contracts.arrow_values import values_of
from cosmic.contracts.bands import Bands
from cosmic.contracts.catalogue_columns import ColumnInfo, columns_of, row_dtype
from cosmic.contracts.flags import MEANINGS, Flag
from cosmic.storage.interfaces import Output

FITS_EXTENSION = "CATALOGUE"
BLOCK_BYTES = 2880
AT_ONCE_ROWS = 4_096  # put together in the processor's cache
SAFE = "".join(c for c in string.printable if c.isprintable() and c != "%")
VALUE = slice(10, 30)  # of an 80-character card, where a whole number stands


class FitsTable:
    """Writes the catalogue's columns as a binary table (FITS standard 4.0, sec. 7.3).

    Args:
        output: Gets the file.
        id_bytes: Bytes of the longest id if ids are text; None: they are whole numbers.
        bands: Whose magnitudes it has.
        provenance: As it will be, but for its numbers: it says how long the header is.
    """

    def __init__(
        self,
        output: Output,
        id_bytes: int | None,
        bands: Bands,
        provenance: Mapping[str, str | int],
    ) -> None:
        self._output, self._columns = output, columns_of(bands)
        self._row = row_dtype(id_bytes, bands).newbyteorder(">")
        self._buffer = np.empty(AT_ONCE_ROWS, self._row)
        self._rows = 0
        self._header_bytes = len(self._header(provenance))
        output.write(bytes(self._header_bytes))

    def write(self, table: pa.Table) -> None:
        """Append rows of the catalogue's schema."""
        columns = {name: values_of(table[name]) for name in self._columns}
        for start in range(0, table.num_rows, AT_ONCE_ROWS):
            rows = self._buffer[: table.num_rows - start]
            for name, values in columns.items():
                rows[name] = values[start : start + AT_ONCE_ROWS]
            self._output.write(rows.view(np.uint8).data)
        self._rows += table.num_rows

    def finish(self, provenance: Mapping[str, str | int]) -> None:
        """Write what is last: the end of the last block, and the header.

        Raises:
            ValueError: the provenance takes another number of blocks than that given first.
        """
        self._output.write(bytes(-self._rows * self._row.itemsize % BLOCK_BYTES))
        header = self._header(provenance)
        if len(header) != self._header_bytes:
            raise ValueError(f"a header of {len(header)} bytes has no room: {self._header_bytes}")
        self._output.write_start(header)

    def _header(self, provenance: Mapping[str, str | int]) -> bytes:
        """Both headers, as cfitsio writes them for an empty table, with the number of rows."""
        with fitsio.FITS("mem://", "rw") as file:
            file.create_table_hdu(
                np.empty(0, self._row.newbyteorder("=")),
                units=[c.unit for c in self._columns.values()],
                extname=FITS_EXTENSION,
            )
            _write_keys(file[FITS_EXTENSION], self._columns, provenance)
            header = bytearray(file.read_raw())
        card = header.index(b"NAXIS2  =")
        header[card + VALUE.start : card + VALUE.stop] = b"%20d" % self._rows
        return bytes(header)


def _write_keys(
    hdu: Any, columns: Mapping[str, ColumnInfo], provenance: Mapping[str, str | int]
) -> None:
    for flag in Flag:
        hdu.write_key(f"FLAG{flag.value}", flag.name, comment=MEANINGS[flag])
    for i, info in enumerate(columns.values(), start=1):
        hdu.write_key(f"TUCD{i}", info.ucd, comment=info.description[:40])
    for name, value in provenance.items():
        key = name.upper().removeprefix("COSMIC.")[:8].replace(".", "")
        hdu.write_key(key, ascii_name(value) if isinstance(value, str) else value)


def ascii_name(name: str) -> str:
    """A name as a FITS header can hold it: percent-encoded (RFC 3986) unless it is plain ASCII.

    Headers take printable ASCII alone (FITS standard 4.0, sec. 4.2.1).
    """
    return name if name.isascii() and name.isprintable() else quote(name, safe=SAFE)
