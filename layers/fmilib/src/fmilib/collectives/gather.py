"""Gather straight to the root; of many ranks, up a binomial tree that passes on what it holds."""

from __future__ import annotations

from fmilib import topology
from fmilib.channels.base import Channel
from fmilib.collectives.entries import by_rank, entry, fill
from fmilib.links.link import Buffer
from fmilib.wire.frames import Envelope

_NOTHING = memoryview(b"")


def gather(
    channel: Channel, call: Envelope, root: int, parts: list[Buffer]
) -> list[memoryview] | None:
    """Bring every rank's message to the root.

    Returns:
        One payload a rank, in rank order, at the root; None elsewhere. The root's own is empty.

    Raises:
        LinkTrouble, MismatchError.
    """
    if not topology.star(channel.size):
        return _up_the_tree(channel, call, root, parts)
    if channel.rank != root:
        channel.send(root, call, parts)
        return None
    return [
        _NOTHING if rank == root else channel.receive(rank, call) for rank in range(channel.size)
    ]


def gather_into(
    channel: Channel, call: Envelope, root: int, mine: memoryview, rows: list[memoryview]
) -> None:
    """Fill the root's rows with every other rank's message.

    Args:
        mine: this rank's message.
        rows: at the root, room for exactly each rank's message; its own is left alone.

    Raises:
        LinkTrouble, MismatchError.
    """
    if not topology.star(channel.size):
        found = _up_the_tree(channel, call, root, [mine])
        for rank, (row, blob) in enumerate(zip(rows, found or [], strict=True)):
            if rank != root:
                fill(row, blob, rank)
    elif channel.rank != root:
        channel.send(root, call, [mine])
    else:
        for rank, row in enumerate(rows):
            if rank != root:
                channel.receive(rank, call, row)


def _up_the_tree(
    channel: Channel, call: Envelope, root: int, parts: list[Buffer]
) -> list[memoryview] | None:
    rank, size = channel.rank, channel.size
    above = topology.parent(rank, size, root)
    received = [channel.receive(child, call) for child in topology.children(rank, size, root)]
    if above is None:
        found = by_rank(received, size)
        return [found.get(other, _NOTHING) for other in range(size)]
    channel.send(above, call, [*entry(rank, parts), *received])
    return None
