"""Everyone to everyone: by Bruck's ways in ⌈log2 n⌉ rounds, or many bytes the straight way."""

from __future__ import annotations

from fmilib import topology
from fmilib.channels.base import Channel
from fmilib.collectives.allreduce import RING_MAX_RANKS
from fmilib.collectives.entries import by_rank, entry, fill
from fmilib.errors import MismatchError
from fmilib.links.link import Buffer
from fmilib.wire.frames import Envelope

FEW_RANKS = 3  # so few need no more rounds one by one
AROUND_MIN_BYTES = 32 * 1024
STRAIGHT_MIN_BYTES = 4 * 1024


def allgather(channel: Channel, call: Envelope, parts: list[Buffer]) -> dict[int, memoryview]:
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
        received = channel.swap(below, call, [_joined(held[:count])], above, call, None)
        found = by_rank([received], size)
        expected = [(rank + (1 << k) + step) % size for step in range(count)]
        held += [entry(other, [_of(found, other)]) for other in expected]
    return {(rank + step) % size: memoryview(one[1]) for step, one in enumerate(held) if step}


def allgather_into(channel: Channel, call: Envelope, rows: list[memoryview]) -> None:
    """Fill every other rank's row with its message; this rank's own row is what it gives.

    Raises:
        LinkTrouble, MismatchError.
    """
    if not allgathers_around(len(rows[0]), channel.size):
        for other, blob in allgather(channel, call, [rows[channel.rank]]).items():
            fill(rows[other], blob, other)
        return
    rank, size = channel.rank, channel.size
    right, left = (rank + 1) % size, (rank - 1) % size
    for step in range(size - 1):
        give, take = rows[(rank - step) % size], rows[(rank - step - 1) % size]
        channel.exchange(call, right, give, left, take)


def alltoall_into(
    channel: Channel, call: Envelope, rows: list[memoryview], into: list[memoryview]
) -> None:
    """Send each row to its rank, and fill `into` with what each sends; not with one's own.

    Raises:
        LinkTrouble, MismatchError.
    """
    rank, size = channel.rank, channel.size
    if not alltoalls_straight(len(rows[0]), size):
        for other, blob in alltoall(channel, call, [[row] for row in rows]).items():
            fill(into[other], blob, other)
        return
    for step in range(1, size):
        to, source = (rank + step) % size, (rank - step) % size
        channel.exchange(call, to, rows[to], source, into[source])


def allgathers_around(row_bytes: int, size: int) -> bool:
    """Return whether rows go around the ring, uncopied, in n - 1 rounds instead of log2 n."""
    return size <= FEW_RANKS or (row_bytes >= AROUND_MIN_BYTES and size <= RING_MAX_RANKS)


def alltoalls_straight(row_bytes: int, size: int) -> bool:
    """Return whether rows go straight to their ranks, each once, in n - 1 rounds."""
    return size <= FEW_RANKS or (row_bytes >= STRAIGHT_MIN_BYTES and topology.star(size))


def alltoall(channel: Channel, call: Envelope, blobs: list[list[Buffer]]) -> dict[int, memoryview]:
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
        received = channel.swap(above, call, [blob], below, call, None)
        found = by_rank([received], size)
        held.update({step: [_of(found, step)] for step in moving})
    return {(rank - step) % size: memoryview(held[step][0]) for step in range(1, size)}


def _joined(entries: list[list[Buffer]]) -> memoryview:
    return memoryview(b"".join(part for one in entries for part in one))


def _of(found: dict[int, memoryview], rank: int) -> memoryview:
    if rank not in found:
        raise MismatchError(f"an exchange brought nothing of place {rank}")
    return found[rank]
