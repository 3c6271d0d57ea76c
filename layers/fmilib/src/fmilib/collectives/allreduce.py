"""Allreduce: recursive doubling for few bytes, halving and doubling or a ring for many.

Every result element is computed from the same operands in the same order on whatever rank
computes it, so all ranks end with the same bits. The `ordered` way also fixes the order to
that of the ranks, left to right, whatever the size.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from fmilib import topology
from fmilib.channels.base import Channel
from fmilib.collectives.bcast import bcast
from fmilib.links.transfer import SEGMENT_BYTES
from fmilib.wire import codec
from fmilib.wire.frames import Envelope, Head
from fmilib.wire.reductions import Op

Array = npt.NDArray[Any]
Core = Callable[[Channel, Envelope, Array, Op, int], None]

DOUBLING_MAX_BYTES = 16 * 1024
RING_MAX_RANKS = 32
GATHER_MAX_BYTES = 64 * 1024


def allreduce(channel: Channel, call: Envelope, array: Array, op: Op) -> None:
    """Reduce `array` over all ranks, in place.

    Args:
        array: C-contiguous, any shape, its memory this call's to write.
        op: commutative; if it isn't one of numpy's functions it sees whole arrays only.

    Raises:
        LinkTrouble, MismatchError.
    """
    size = channel.size
    if topology.small_star(size, array.nbytes):
        _around_one(channel, call, array, op)
    elif array.nbytes <= DOUBLING_MAX_BYTES or op.ufunc is None:
        _folded(channel, call, array, op, _doubling)
    elif size & (size - 1) and size <= RING_MAX_RANKS:
        _ring(channel, call, array.reshape(-1), op)
    else:
        _folded(channel, call, array.reshape(-1), op, _halving)


def ordered_allreduce(channel: Channel, call: Envelope, array: Array, op: Op) -> None:
    """Reduce `array` in place as ((x0 ∘ x1) ∘ x2) ∘ …, in rank order.

    Args:
        array: C-contiguous, any shape, its memory this call's to write.
        op: any; if it isn't one of numpy's functions it sees whole arrays only.

    Raises:
        LinkTrouble, MismatchError.
    """
    if topology.small_star(channel.size, array.nbytes):
        _around_one(channel, call, array, op)
        return
    holder = fold_in_order(channel, call, array, op)
    bcast(channel, call, holder, codec.flat(array))


def fold_in_order(channel: Channel, call: Envelope, array: Array, op: Op) -> int:
    """Do the same, but return the one rank that has the result; elsewhere `array` is used up.

    Raises:
        LinkTrouble, MismatchError.
    """
    whole = op.ufunc is None or bool(SEGMENT_BYTES % array.itemsize)
    if array.nbytes <= GATHER_MAX_BYTES or whole:
        _gather_and_fold(channel, call, array, op)
        return 0
    _chain(channel, call, array.reshape(-1), op)
    return channel.size - 1


# -- few bytes ------------------------------------------------------------------


def _around_one(channel: Channel, call: Envelope, array: Array, op: Op) -> None:
    """Send all arrays to rank 0, which folds them in rank order, and back."""
    payload, size = codec.flat(array), channel.size
    if channel.rank:
        channel.send(0, call, [payload])
        channel.receive(0, call, payload)
        return
    scratch = np.empty_like(array)
    room = codec.flat(scratch)
    for other in range(1, size):
        channel.receive(other, call, room)
        op.into(array, scratch)
    for other in range(1, size):
        channel.send(other, call, [payload])


def _folded(channel: Channel, call: Envelope, array: Array, op: Op, core: Core) -> None:
    """Run `core` on the largest power of two of ranks; the others hand in and are handed back."""
    core_size = 1 << (channel.size.bit_length() - 1)
    rank, payload = channel.rank, codec.flat(array)
    if rank >= core_size:
        channel.send(rank - core_size, call, [payload])
        channel.receive(rank - core_size, call, payload)
        return
    extra = rank + core_size if rank + core_size < channel.size else None
    if extra is not None:
        scratch = np.empty_like(array)
        channel.receive(extra, call, codec.flat(scratch))
        op.into(array, scratch)
    core(channel, call, array, op, core_size)
    if extra is not None:
        channel.send(extra, call, [payload])


def _doubling(channel: Channel, call: Envelope, array: Array, op: Op, core_size: int) -> None:
    rank, scratch = channel.rank, np.empty_like(array)
    mine, theirs = codec.flat(array), codec.flat(scratch)
    for k in range(topology.rounds(core_size)):
        other = rank ^ (1 << k)
        channel.exchange(call, other, mine, other, theirs)
        if rank < other:
            op.into(array, scratch)
        else:
            op.before(scratch, array)


# -- many bytes -----------------------------------------------------------------


def _halving(channel: Channel, call: Envelope, array: Array, op: Op, core_size: int) -> None:
    """Reduce-scatter by halves, then allgather by doubling (Rabenseifner)."""
    rank, low, high = channel.rank, 0, len(array)
    scratch = np.empty(high // 2 + 1, array.dtype)
    steps: list[tuple[int, int, int, int]] = []
    for k in reversed(range(topology.rounds(core_size))):
        other, middle = rank ^ (1 << k), (low + high) // 2
        steps.append((other, low, middle, high))
        keep = slice(low, middle) if rank < other else slice(middle, high)
        give = slice(middle, high) if rank < other else slice(low, middle)
        exchange_and_reduce(channel, call, other, array[give], other, array[keep], scratch, op)
        low, high = keep.start, keep.stop
    for other, start, middle, stop in reversed(steps):
        mine, theirs = array[start:middle], array[middle:stop]
        if rank > other:
            mine, theirs = theirs, mine
        channel.exchange(call, other, codec.flat(mine), other, codec.flat(theirs))


def _ring(channel: Channel, call: Envelope, array: Array, op: Op) -> None:
    """Reduce-scatter around the ring, then allgather around it."""
    rank, size = channel.rank, channel.size
    right, left = (rank + 1) % size, (rank - 1) % size
    edges = [len(array) * part // size for part in range(size + 1)]
    chunks = [array[edges[part] : edges[part + 1]] for part in range(size)]
    scratch = np.empty(len(array) // size + 1, array.dtype)
    for step in range(size - 1):
        give, keep = chunks[(rank - step) % size], chunks[(rank - step - 1) % size]
        exchange_and_reduce(channel, call, right, give, left, keep, scratch, op)
    for step in range(size - 1):
        give, take = chunks[(rank + 1 - step) % size], chunks[(rank - step) % size]
        channel.exchange(call, right, codec.flat(give), left, codec.flat(take))


def exchange_and_reduce(
    channel: Channel,
    call: Envelope,
    to: int,
    give: Array,
    source: int,
    keep: Array,
    scratch: Array,
    op: Op,
) -> None:
    """Send `give`; set `keep` to `theirs ∘ keep`, segment by segment as they arrive."""
    incoming, item = scratch[: len(keep)], keep.itemsize
    if SEGMENT_BYTES % item:
        channel.exchange(call, to, codec.flat(give), source, codec.flat(incoming))
        op.before(incoming, keep)
        return

    def arrived(offset: int, piece: memoryview, _: Head) -> None:
        part = slice(offset // item, (offset + len(piece)) // item)
        op.before(incoming[part], keep[part])

    channel.exchange(call, to, codec.flat(give), source, codec.flat(incoming), arrived)


# -- in rank order ---------------------------------------------------------------


def _gather_and_fold(channel: Channel, call: Envelope, array: Array, op: Op) -> None:
    """Bring all arrays to rank 0 in rank order, and fold them there."""
    rank, size = channel.rank, channel.size
    above, below = topology.parent(rank, size, 0), topology.children(rank, size, 0)
    span = min((rank & -rank) or size, size - rank)
    held = np.empty((span, *array.shape), array.dtype)
    held[0] = array
    for child in below:
        first = child - rank
        held_there = held[first : min(2 * first, span)]
        channel.receive(child, call, codec.flat(held_there))
    if above is not None:
        channel.send(above, call, [codec.flat(held)])
        return
    for row in held[1:]:
        op.into(array, row)


def _chain(channel: Channel, call: Envelope, array: Array, op: Op) -> None:
    """Pass segments from rank 0 upwards, each rank adding its own to the right."""
    rank, item, after = channel.rank, array.itemsize, channel.rank + 1
    payload = codec.flat(array)
    if rank == 0:
        channel.send(after, call, [payload])
        return
    scratch = np.empty_like(array)

    def arrived(offset: int, piece: memoryview, head: Head) -> None:
        end = offset + len(piece)
        part = slice(offset // item, end // item)
        op.before(scratch[part], array[part])
        if after < channel.size:
            channel.relay(after, call, payload[offset:end], head.total)

    channel.receive(rank - 1, call, codec.flat(scratch), arrived)
