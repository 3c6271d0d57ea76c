"""Broadcast down a binomial tree, in segments that are passed on as they arrive."""

from __future__ import annotations

from fmilib import topology
from fmilib.channels.base import Channel
from fmilib.flows import segments
from fmilib.frames import Call, Head
from fmilib.link import Buffer


def bcast(channel: Channel, call: Call, root: int, payload: memoryview) -> None:
    """Fill `payload` of every rank with the root's; all ranks know its length.

    Raises:
        LinkTrouble, MismatchError.
    """
    if channel.rank == root:
        _give(channel, call, root, [payload])
    else:
        _take(channel, call, root, payload)


def bcast_blob(
    channel: Channel, call: Call, root: int, parts: list[Buffer] | None
) -> memoryview | None:
    """Broadcast a message whose length only the root knows.

    Args:
        parts: the message at the root; ignored elsewhere.

    Returns:
        The message, None at the root.

    Raises:
        LinkTrouble, MismatchError.
    """
    if channel.rank != root:
        return _take(channel, call, root, None)
    _give(channel, call, root, parts or [])
    return None


def _give(channel: Channel, call: Call, root: int, parts: list[Buffer]) -> None:
    below = topology.children(root, channel.size, root)[::-1]
    total = sum(len(part) for part in parts)
    for group in segments(parts):
        piece = memoryview(group[0] if len(group) == 1 else b"".join(group))
        digest = None
        for child in below:
            digest = channel.relay(child, call, piece, total, digest)


def _take(channel: Channel, call: Call, root: int, into: memoryview | None) -> memoryview:
    above = topology.parent(channel.rank, channel.size, root)
    below = topology.children(channel.rank, channel.size, root)[::-1]
    assert above is not None  # noqa: S101 - only the root has no parent

    def pass_on(_: int, piece: memoryview, head: Head) -> None:
        for child in below:
            channel.relay(child, call, piece, head.total, head.digest)

    return channel.receive(above, call, into, pass_on)
