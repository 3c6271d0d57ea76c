"""A shard: the catalogue's rows of one rank, one after another, in NumPy's own format (`.npy`).

A block of rows is appended as it lies in memory, shards are put together by putting their rows one
after another, and whoever reads one needs NumPy alone. The format is version 1.0 of `.npy`
(NumPy Enhancement Proposal 1), with one row of `catalogue_columns.row_dtype` as its item.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable, Sequence
from typing import BinaryIO

import numpy as np

from cosmic.contracts.bands import BANDS, Bands
from cosmic.contracts.catalogue_columns import Rows, row_dtype

START = b"\x93NUMPY\x01\x00"
PIECE_ROWS = 65_536  # that are read at once of all ranks' rows, but for ranks that have more
HEADER_BYTES = 1024  # whatever the rows, so that these begin at one place


def write_shard(
    out: BinaryIO,
    rows: int,
    id_bytes: int | None,
    blocks: Iterable[Rows],
    bands: Bands = BANDS,
) -> None:
    """Write a shard block by block.

    Args:
        out: Gets it.
        rows: How many will come.
        id_bytes: Bytes of the longest id of the run if ids are text; None: they are whole numbers.
        blocks: Rows of `row_dtype`; text ids may be shorter than `id_bytes`.
        bands: Of the run's model.
    """
    kind = row_dtype(id_bytes, bands)
    out.write(_header(rows, kind))
    for block in blocks:
        out.write(_bytes(block.astype(kind, casting="safe", copy=False)))


def read_shard(data: bytes, id_bytes: int | None, bands: Bands = BANDS) -> Rows:
    """The rows of a shard, not copied.

    Its header is compared, not parsed: all of it follows from the columns and the number of rows.

    Args:
        data: The file.
        id_bytes, bands: As it was written with.

    Raises:
        ValueError: it is no shard with these columns, or is cut off.
    """
    kind = row_dtype(id_bytes, bands)
    rows, rest = divmod(len(data) - HEADER_BYTES, kind.itemsize)
    if rest or rows < 0 or not data.startswith(_header(rows, kind)):
        raise ValueError("it doesn't hold whole rows of the catalogue's columns")
    return np.frombuffer(data, kind, offset=HEADER_BYTES)


def joined(shards: Sequence[bytes], id_bytes: int | None, bands: Bands = BANDS) -> bytes:
    """One shard of the rows of several; raises as `read_shard` does."""
    parts = [read_shard(shard, id_bytes, bands) for shard in shards]
    header = _header(sum(map(len, parts)), row_dtype(id_bytes, bands))
    return b"".join([header, *map(_bytes, parts)])


def digest_of(rows: Rows) -> str:
    """The SHA-256 of the shard of these rows."""
    digest = hashlib.sha256(_header(len(rows), rows.dtype))
    digest.update(_bytes(rows))
    return digest.hexdigest()


def _header(rows: int, kind: np.dtype[np.void]) -> bytes:
    """The header of a file with this many rows; the same with every version of NumPy."""
    about = {"descr": kind.descr, "fortran_order": False, "shape": (rows,)}
    text = repr(about).ljust(HEADER_BYTES - len(START) - 3) + "\n"
    return START + struct.pack("<H", len(text)) + text.encode()


def _bytes(rows: Rows) -> memoryview:
    return rows.view(np.uint8).data
