"""A Parquet file of any length, written in bounded memory.

`pyarrow.parquet.ParquetWriter` keeps an object per column and row group until it is closed: 20 MB
for 744 row groups of 28 columns. So several writers write one after another into one file, each the
pages of some row groups; what they would write at the end is kept as bytes, and put together.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Mapping
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from cosmic.results.parquet_footer import Footer, put_together, taken_apart
from cosmic.storage.interfaces import Output

GROUPS = 64  # of a writer
MAGIC = b"PAR1"
LENGTH = struct.Struct("<I")


class ParquetStream:
    """Writes the file that one `ParquetWriter` would write, byte by byte.

    Args:
        output: Gets the file.
        schema: Of the tables.
        options: Of `ParquetWriter`.
    """

    def __init__(self, output: Output, schema: pa.Schema, **options: Any) -> None:
        self._output, self._schema, self._options = output, schema, options
        self._footers: list[Footer] = []
        self._rows = 0
        self._written = 0
        self._begin()

    def _begin(self) -> None:
        self._groups, self._start = 0, self._written
        self._sink = _Sink(self._output, silent=len(MAGIC) if self._footers else 0)
        self._writer = pq.ParquetWriter(self._sink, self._schema, **self._options)

    def write(self, table: pa.Table) -> None:
        """Append a row group."""
        if self._groups == GROUPS:
            self._footers.append(self._taken_apart(self._end()))
            self._begin()
        self._writer.write_table(table, row_group_size=max(1, table.num_rows))
        self._groups += 1
        self._rows += table.num_rows

    def add_metadata(self, metadata: Mapping[str, str]) -> None:
        """Say something of the whole file; there is no row to come."""
        self._writer.add_key_value_metadata(metadata)

    def close(self) -> None:
        """Write the file's end."""
        footer = self._end()
        if self._footers:
            footer = put_together([*self._footers, self._taken_apart(footer)])
        self._output.write(footer + LENGTH.pack(len(footer)) + MAGIC)

    def _end(self) -> bytes:
        """Close the writer that is open; returns what it has for a footer."""
        self._sink.hold()
        self._writer.close()
        end = self._sink.held
        (length,) = LENGTH.unpack_from(end, len(end) - LENGTH.size - len(MAGIC))
        pages = len(end) - length - LENGTH.size - len(MAGIC)
        self._output.write(end[:pages])
        self._written += self._sink.size + pages
        return bytes(end[pages : pages + length])

    def _taken_apart(self, footer: bytes) -> Footer:
        moved = self._start - len(MAGIC) if self._footers else 0
        first = sum(each.groups_count for each in self._footers)
        return taken_apart(footer, moved=moved, first=first, rows=self._rows)


class _Sink(io.RawIOBase):
    """What one of the writers writes to.

    Args:
        output: Gets it.
        silent: Bytes at the beginning that it doesn't get.
    """

    def __init__(self, output: Output, silent: int) -> None:
        self._output, self._silent = output, silent
        self._holds = False
        self.held = bytearray()
        self.size = 0

    def writable(self) -> bool:
        """It is written."""
        return True

    def hold(self) -> None:
        """Keep from now on what is written."""
        self._holds = True

    def write(self, data: Any, /) -> int:
        """Pass bytes on."""
        view = memoryview(data).cast("B")
        shown = view[self._silent :]
        self._silent -= len(view) - len(shown)
        if self._holds:
            self.held += shown
        else:
            self._output.write(shown)
            self.size += len(shown)
        return len(view)
