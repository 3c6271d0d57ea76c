"""Gather up a binomial tree: each rank passes on its own entry and its children's.

An entry is the rank, its length, and a blob, padded so that arrays in it stay aligned.
Lengths may differ between ranks.
"""

from __future__ import annotations

import struct

from fmilib import topology
from fmilib.channels.base import Channel
from fmilib.codec import ALIGN, CodecError
from fmilib.frames import Call
from fmilib.link import Buffer

_ENTRY = struct.Struct("<IQ")


def gather(channel: Channel, call: Call, root: int, parts: list[Buffer]) -> list[memoryview] | None:
    """Bring every rank's message to the root.

    Returns:
        One payload a rank, in rank order, at the root; None elsewhere. The root's own is empty.

    Raises:
        LinkTrouble, MismatchError.
    """
    rank, size = channel.rank, channel.size
    above = topology.parent(rank, size, root)
    received = [channel.receive(child, call) for child in topology.children(rank, size, root)]
    if above is None:
        return _by_rank(received, size)
    channel.send(above, call, [*_entry(rank, parts), *received])
    return None


def _entry(rank: int, parts: list[Buffer]) -> list[Buffer]:
    length = sum(len(part) for part in parts)
    lead = _ENTRY.pack(rank, length).ljust(ALIGN, b"\0")
    return [lead, *parts, bytes(-length % ALIGN)]


def _by_rank(received: list[memoryview], size: int) -> list[memoryview]:
    found = [memoryview(b"")] * size
    for entries in received:
        at = 0
        while at < len(entries):
            rank, length = _ENTRY.unpack_from(entries, at)
            start, at = at + ALIGN, at + ALIGN + length + -length % ALIGN
            if rank >= size or at > len(entries):
                raise CodecError("an entry of a gather is cut short")
            found[rank] = entries[start : start + length]
    return found
