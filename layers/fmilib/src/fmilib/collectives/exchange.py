"""Everyone to everyone by Bruck's ways: ⌈log2 n⌉ rounds over the links of the graph."""

from __future__ import annotations

from fmilib import topology
from fmilib.channels.base import Channel
from fmilib.channels.group import swap
from fmilib.collectives.entries import by_rank, entry
from fmilib.errors import MismatchError
from fmilib.frames import Call
from fmilib.link import Buffer


def allgather(channel: Channel, call: Call, parts: list[Buffer]) -> dict[int, memoryview]:
    """Bring every rank's message to every rank.

    Returns:
        The payload of each other rank.

    Raises:
        LinkTrouble, MismatchError.
    """
    rank, size = channel.rank, channel.size
    held: list[list[Buffer]] = [entry(rank, parts)]  # of rank, rank + 1, …
    for k in range(topology.rounds(size)):
        count = min(1 << k, size - (1 << k))
        below, above = (rank - (1 << k)) % size, (rank + (1 << k)) % size
        received = swap(channel, below, call, [_joined(held[:count])], above, call)
        found = by_rank([received], size)
        expected = [(rank + (1 << k) + step) % size for step in range(count)]
        held += [entry(other, [_of(found, other)]) for other in expected]
    return {(rank + step) % size: memoryview(one[1]) for step, one in enumerate(held) if step}


def alltoall(channel: Channel, call: Call, blobs: list[list[Buffer]]) -> dict[int, memoryview]:
    """Bring to every rank the message that each other has for it.

    Args:
        blobs: one message a rank.

    Returns:
        The payload from each other rank.

    Raises:
        LinkTrouble, MismatchError.
    """
    rank, size = channel.rank, channel.size
    held = {step: blobs[(rank + step) % size] for step in range(size)}
    for k in range(topology.rounds(size)):
        moving = [step for step in range(size) if step >> k & 1]
        below, above = (rank - (1 << k)) % size, (rank + (1 << k)) % size
        blob = _joined([entry(step, held[step]) for step in moving])
        received = swap(channel, above, call, [blob], below, call)
        found = by_rank([received], size)
        held.update({step: [_of(found, step)] for step in moving})
    return {(rank - step) % size: memoryview(held[step][0]) for step in range(1, size)}


def _joined(entries: list[list[Buffer]]) -> memoryview:
    return memoryview(b"".join(part for one in entries for part in one))


def _of(found: dict[int, memoryview], rank: int) -> memoryview:
    if rank not in found:
        raise MismatchError(f"an exchange brought nothing of place {rank}")
    return found[rank]
