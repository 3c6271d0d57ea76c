"""Gather up a binomial tree: each rank passes on its own entry and its children's."""

from __future__ import annotations

from fmilib import topology
from fmilib.channels.base import Channel
from fmilib.collectives.entries import by_rank, entry
from fmilib.frames import Call
from fmilib.link import Buffer


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
        found = by_rank(received, size)
        return [found.get(other, memoryview(b"")) for other in range(size)]
    channel.send(above, call, [*entry(rank, parts), *received])
    return None
