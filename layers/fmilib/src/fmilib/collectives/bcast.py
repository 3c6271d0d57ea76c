"""Broadcast in segments that are passed on as they arrive: down a tree, or along a chain."""

from __future__ import annotations

from fmilib import topology
from fmilib.channels.base import Channel
from fmilib.links.link import Buffer
from fmilib.links.transfer import SEGMENT_BYTES, segments
from fmilib.wire.frames import Envelope, Head


def bcast(channel: Channel, call: Envelope, root: int, payload: memoryview) -> None:
    """Fill `payload` of every rank with the root's; all ranks know its length.

    Raises:
        LinkTrouble, MismatchError.
    """
    above, below = _neighbours(channel.rank, channel.size, root, len(payload))
    if above is None:
        _give(channel, call, below, [payload])
    else:
        _take(channel, call, above, below, payload)


def bcast_blob(
    channel: Channel, call: Envelope, root: int, parts: list[Buffer] | None
) -> memoryview | None:
    """Broadcast a message whose length only the root knows.

    Args:
        parts: the message at the root; ignored elsewhere.

    Returns:
        The message, None at the root.

    Raises:
        LinkTrouble, MismatchError.
    """
    above, below = _tree(channel.rank, channel.size, root)
    if above is not None:
        return _take(channel, call, above, below, None)
    _give(channel, call, below, parts or [])
    return None


def _neighbours(rank: int, size: int, root: int, nbytes: int) -> tuple[int | None, list[int]]:
    """Return the rank above and those below, in what is over soonest: star, tree or chain.

    A tree's root sends every segment to each of its ⌈log2 n⌉ children; a chain's only once,
    but the last rank is n - 2 segments behind the second.
    """
    if topology.small_star(size, nbytes):
        return topology.star_around(rank, size, root)
    pieces, rounds = -(-nbytes // SEGMENT_BYTES), topology.rounds(size)
    if pieces + size - 2 >= pieces * rounds:
        return _tree(rank, size, root)
    above, below = (rank - 1) % size, (rank + 1) % size
    return None if rank == root else above, [] if below == root else [below]


def _tree(rank: int, size: int, root: int) -> tuple[int | None, list[int]]:
    return topology.parent(rank, size, root), topology.children(rank, size, root)[::-1]


def _give(channel: Channel, call: Envelope, below: list[int], parts: list[Buffer]) -> None:
    total = sum(len(part) for part in parts)
    for group in segments(parts):
        piece = memoryview(group[0] if len(group) == 1 else b"".join(group))
        for child in below:
            channel.relay(child, call, piece, total)


def _take(
    channel: Channel, call: Envelope, above: int, below: list[int], into: memoryview | None
) -> memoryview:
    def pass_on(_: int, piece: memoryview, head: Head) -> None:
        for child in below:
            channel.relay(child, call, piece, head.total)

    return channel.receive(above, call, into, pass_on)
