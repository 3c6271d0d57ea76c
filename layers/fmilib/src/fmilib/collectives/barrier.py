"""Barrier by dissemination: ⌈log2 n⌉ rounds, everyone alike."""

from __future__ import annotations

from fmilib import topology
from fmilib.channels.base import Channel
from fmilib.frames import Call

_NOTHING = memoryview(b"")


def barrier(channel: Channel, call: Call) -> None:
    """Return once every rank has called it.

    Raises:
        LinkTrouble, MismatchError.
    """
    rank, size = channel.rank, channel.size
    for k in range(topology.rounds(size)):
        channel.send((rank + (1 << k)) % size, call, [_NOTHING])
        channel.receive((rank - (1 << k)) % size, call, _NOTHING)
