"""Scatter straight from the root; to many ranks, down a binomial tree that passes messages on."""

from __future__ import annotations

from fmilib import topology
from fmilib.channels.base import Channel
from fmilib.collectives.entries import by_rank, entry, fill
from fmilib.errors import MismatchError
from fmilib.links.link import Buffer
from fmilib.wire.frames import Envelope


def scatter(
    channel: Channel,
    call: Envelope,
    root: int,
    blobs: list[list[Buffer]] | None,
    into: memoryview | None = None,
) -> memoryview | None:
    """Bring to every rank the root's message for it.

    Args:
        blobs: at the root one message a rank; ignored elsewhere.
        into: room for exactly this rank's message, if its length is known.

    Returns:
        This rank's message; None at the root, which has it.

    Raises:
        LinkTrouble, MismatchError.
    """
    if not topology.star(channel.size):
        found = _down_the_tree(channel, call, root, blobs)
        if found is None or into is None:
            return found
        fill(into, found, root)
        return into
    if channel.rank != root:
        return channel.receive(root, call, into)
    for rank, parts in enumerate(blobs or []):
        if rank != root:
            channel.send(rank, call, parts)
    return None


def _down_the_tree(
    channel: Channel, call: Envelope, root: int, blobs: list[list[Buffer]] | None
) -> memoryview | None:
    rank, size = channel.rank, channel.size
    above = topology.parent(rank, size, root)
    held: dict[int, list[Buffer]]
    if above is None:
        held = dict(enumerate(blobs or []))
    else:
        received = by_rank([channel.receive(above, call)], size)
        held = {other: [blob] for other, blob in received.items()}
        if rank not in held:
            raise MismatchError(f"rank {above} sends nothing for rank {rank}")
    for child in topology.children(rank, size, root)[::-1]:
        below = (other for other in _subtree(child, size, root) if other in held)
        channel.send(child, call, [part for other in below for part in entry(other, held[other])])
    return None if above is None else memoryview(held[rank][0])


def _subtree(rank: int, size: int, root: int) -> list[int]:
    place = (rank - root) % size
    span = min(place & -place, size - place)
    return [(place + step + root) % size for step in range(span)]
