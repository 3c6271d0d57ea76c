"""Prefix reductions: by doubling if the grouping doesn't matter, else along the ranks."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from fmilib import topology
from fmilib.channels.base import Channel
from fmilib.wire import codec
from fmilib.wire.frames import Envelope
from fmilib.wire.reductions import Op

Array = npt.NDArray[Any]


def scan(channel: Channel, call: Envelope, array: Array, op: Op) -> Array | None:
    """Set `array` to x0 ∘ … ∘ x_rank, the order of ranks being kept (Hillis and Steele).

    Args:
        array: C-contiguous, its memory this call's to write.
        op: associative; it sees whole arrays.

    Returns:
        What stands before this rank, x0 ∘ … ∘ x_(rank - 1); None at rank 0.

    Raises:
        LinkTrouble, MismatchError.
    """
    rank, size = channel.rank, channel.size
    theirs, before = np.empty_like(array), None
    for k in range(topology.rounds(size)):
        above, below = rank + (1 << k), rank - (1 << k)
        if above < size and below >= 0:
            channel.exchange(call, above, codec.flat(array), below, codec.flat(theirs))
        elif above < size:
            channel.send(above, call, [codec.flat(array)])
        elif below >= 0:
            channel.receive(below, call, codec.flat(theirs))
        if below >= 0:
            op.before(theirs, array)
            before = _joined(theirs, before, op)
    return before


def ordered_scan(channel: Channel, call: Envelope, array: Array, op: Op) -> Array | None:
    """Do the same as (x0 ∘ x1) ∘ …, grouped from the left, for any `op`.

    Raises:
        LinkTrouble, MismatchError.
    """
    rank, before = channel.rank, None
    if rank > 0:
        before = np.empty_like(array)
        channel.receive(rank - 1, call, codec.flat(before))
        op.before(before, array)
    if rank + 1 < channel.size:
        channel.send(rank + 1, call, [codec.flat(array)])
    return before


def _joined(left: Array, before: Array | None, op: Op) -> Array:
    if before is None:
        return left.copy()
    op.before(left, before)
    return before
