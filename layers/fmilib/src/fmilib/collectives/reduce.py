"""Reduce to one rank up a binomial tree; reduce and scatter around a ring."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from fmilib import topology
from fmilib.channels.base import Channel
from fmilib.collectives.allreduce import (
    DOUBLING_MAX_BYTES,
    allreduce,
    exchange_and_reduce,
    fold_in_order,
    ordered_allreduce,
)
from fmilib.wire import codec
from fmilib.wire.frames import Envelope
from fmilib.wire.reductions import Op

Array = npt.NDArray[Any]


def reduce(channel: Channel, call: Envelope, array: Array, op: Op, root: int) -> None:
    """Reduce `array` over all ranks, in place at the root; elsewhere it is used up.

    Args:
        array: C-contiguous, its memory this call's to write.
        op: commutative and associative.

    Raises:
        LinkTrouble, MismatchError.
    """
    above, below = _tree(channel, root, array.nbytes)
    scratch = np.empty_like(array)
    for child in below:
        channel.receive(child, call, codec.flat(scratch))
        op.into(array, scratch)
    if above is not None:
        channel.send(above, call, [codec.flat(array)])


def _tree(channel: Channel, root: int, nbytes: int) -> tuple[int | None, list[int]]:
    rank, size = channel.rank, channel.size
    if topology.small_star(size, nbytes):
        return topology.star_around(rank, size, root)
    return topology.parent(rank, size, root), topology.children(rank, size, root)


def ordered_reduce(channel: Channel, call: Envelope, array: Array, op: Op, root: int) -> None:
    """Do the same as ((x0 ∘ x1) ∘ x2) ∘ …, in rank order, for any `op`.

    Raises:
        LinkTrouble, MismatchError.
    """
    holder = fold_in_order(channel, call, array, op)
    if holder == root:
        return
    if channel.rank == holder:
        channel.send(root, call, [codec.flat(array)])
    elif channel.rank == root:
        channel.receive(holder, call, codec.flat(array))


def reduce_scatter(
    channel: Channel, call: Envelope, array: Array, op: Op, counts: Sequence[int], *, ordered: bool
) -> Array:
    """Reduce `array` over all ranks and return this rank's part of it.

    Args:
        array: C-contiguous, 1-D, its memory this call's to write.
        counts: elements of each rank's part, in rank order; together len(array).
        ordered: fold from left to right in rank order.

    Raises:
        LinkTrouble, MismatchError.
    """
    edges = [sum(counts[:part]) for part in range(channel.size + 1)]
    parts = [array[edges[part] : edges[part + 1]] for part in range(channel.size)]
    if channel.size == 1:
        return array
    if ordered:
        ordered_allreduce(channel, call, array, op)
    elif array.nbytes <= DOUBLING_MAX_BYTES or op.ufunc is None:
        allreduce(channel, call, array, op)
    else:
        _ring(channel, call, parts, op)
    return parts[channel.rank]


def _ring(channel: Channel, call: Envelope, parts: list[Array], op: Op) -> None:
    rank, size = channel.rank, channel.size
    right, left = (rank + 1) % size, (rank - 1) % size
    scratch = np.empty(max(map(len, parts)), parts[0].dtype)
    for step in range(size - 1):
        give, keep = parts[(rank - step - 1) % size], parts[(rank - step - 2) % size]
        exchange_and_reduce(channel, call, right, give, left, keep, scratch, op)
