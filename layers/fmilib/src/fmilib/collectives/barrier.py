"""Barrier: few ranks report to rank 0 and are let go; many disseminate in ⌈log2 n⌉ rounds."""

from __future__ import annotations

from fmilib import topology
from fmilib.channels.base import Channel
from fmilib.wire.frames import Envelope

_NOTHING = memoryview(b"")


def barrier(channel: Channel, call: Envelope) -> None:
    """Return once every rank has called it.

    Raises:
        LinkTrouble, MismatchError.
    """
    rank, size = channel.rank, channel.size
    if topology.small_star(size, 0):
        _around_one(channel, call)
        return
    for k in range(topology.rounds(size)):
        channel.send((rank + (1 << k)) % size, call, [_NOTHING])
        channel.receive((rank - (1 << k)) % size, call, _NOTHING)


def _around_one(channel: Channel, call: Envelope) -> None:
    if channel.rank:
        channel.send(0, call, [_NOTHING])
        channel.receive(0, call, _NOTHING)
        return
    for other in range(1, channel.size):
        channel.receive(other, call, _NOTHING)
    for other in range(1, channel.size):
        channel.send(other, call, [_NOTHING])
