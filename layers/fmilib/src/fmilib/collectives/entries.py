"""Messages of several ranks in one: entries of a rank, a length and a blob.

Blobs are padded so that arrays in them stay aligned; their lengths may differ.
"""

from __future__ import annotations

import struct

from fmilib.errors import MismatchError
from fmilib.links.link import Buffer
from fmilib.wire.codec import ALIGN, CodecError

_ENTRY = struct.Struct("<IQ")


def entry(rank: int, parts: list[Buffer]) -> list[Buffer]:
    """Return the buffers of one entry; the parts aren't copied."""
    length = sum(len(part) for part in parts)
    lead = _ENTRY.pack(rank, length).ljust(ALIGN, b"\0")
    return [lead, *parts, bytes(-length % ALIGN)]


def by_rank(received: list[memoryview], size: int) -> dict[int, memoryview]:
    """Return the blob of each rank that has an entry.

    Raises:
        CodecError: an entry is cut short or names no rank.
    """
    found: dict[int, memoryview] = {}
    for entries in received:
        at = 0
        while at < len(entries):
            if at + ALIGN > len(entries):
                raise CodecError("an entry's head is cut short")
            rank, length = _ENTRY.unpack_from(entries, at)
            start, at = at + ALIGN, at + ALIGN + length + -length % ALIGN
            if rank >= size or at > len(entries):
                raise CodecError("an entry is cut short")
            found[rank] = entries[start : start + length]
    return found


def fill(room: memoryview, blob: memoryview, rank: int) -> None:
    """Copy a rank's blob into room that must be just as long.

    Raises:
        MismatchError: it isn't.
    """
    if len(room) != len(blob):
        raise MismatchError(f"rank {rank} sent {len(blob)} bytes where {len(room)} are expected")
    if len(room):
        room[:] = blob
