"""What each operation does on the wire, as its algorithm does it: rounds, bytes, messages.

`rounds` follow each other; `bytes` is what the busiest rank moves one after another; `messages`
is what all ranks send together. The switch points are those of the algorithms.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from fmilib import topology
from fmilib.collectives.allreduce import DOUBLING_MAX_BYTES, RING_MAX_RANKS
from fmilib.collectives.exchange import allgathers_around, alltoalls_straight
from fmilib.links.transfer import SEGMENT_BYTES


class Shape(NamedTuple):
    """One operation's cost without units of time or money.

    Attributes:
        rounds: messages on the longest chain.
        bytes: payload on the busiest rank's way.
        messages: of all ranks together.
    """

    rounds: int
    bytes: int
    messages: int


def shape(op: str, nbytes: int, size: int) -> Shape:
    """Return the shape of an operation on `size` ranks with `nbytes` a rank.

    Args:
        op: a method of a communicator; `Bcast`, `Allgather` and `Alltoall` differ from their
            lower-case kin, others don't.
        nbytes: payload that one rank hands in (of the root, for bcast).
        size: ranks.

    Raises:
        ValueError: no operation has that name.
    """
    form = _SHAPES.get(op) or _SHAPES.get(op.lower())
    if form is None:
        raise ValueError(f"no operation is called {op!r}; there are {', '.join(sorted(_SHAPES))}")
    return Shape(0, 0, 0) if size == 1 else form(nbytes, size)


def _message(nbytes: int, size: int) -> Shape:
    return Shape(1, nbytes, 1)


def _barrier(nbytes: int, size: int) -> Shape:
    if topology.small_star(size, 0):
        return _around_one(0, size)
    rounds = topology.rounds(size)
    return Shape(rounds, 0, size * rounds)


def _tree_down(nbytes: int, size: int) -> Shape:
    """Binomial tree: the root sends the whole to each of its children."""
    rounds = topology.rounds(size)
    return Shape(rounds, rounds * nbytes, size - 1)


def _around_one(nbytes: int, size: int) -> Shape:
    """Everyone to one rank, and back."""
    return Shape(2, 2 * (size - 1) * nbytes, 2 * (size - 1))


def _reduce(nbytes: int, size: int) -> Shape:
    return (_to_root if topology.small_star(size, nbytes) else _tree_down)(nbytes, size)


def _known_bcast(nbytes: int, size: int) -> Shape:
    """A star, a tree, or a chain of segments: whichever is over soonest."""
    if topology.small_star(size, nbytes):
        return _to_root(nbytes, size)
    pieces, rounds = -(-nbytes // SEGMENT_BYTES), topology.rounds(size)
    if pieces + size - 2 >= pieces * rounds:
        return _tree_down(nbytes, size)
    return Shape(size - 1, nbytes + (size - 2) * SEGMENT_BYTES, size - 1)


def _to_root(nbytes: int, size: int) -> Shape:
    """Everything arrives at, or leaves, the root once: straight, or by way of a binomial tree."""
    rounds = 1 if topology.star(size) else topology.rounds(size)
    return Shape(rounds, (size - 1) * nbytes, size - 1)


def _doubling(nbytes: int, size: int) -> Shape:
    core, rounds = _engine(size)
    extra = size - core
    hand_in = 2 if extra else 0
    return Shape(rounds + hand_in, (rounds + hand_in) * nbytes, core * rounds + 2 * extra)


def _halving(nbytes: int, size: int) -> Shape:
    core, rounds = _engine(size)
    extra = size - core
    hand_in = 2 if extra else 0
    moved = 2 * nbytes * (core - 1) // core + hand_in * nbytes
    return Shape(2 * rounds + hand_in, moved, 2 * core * rounds + 2 * extra)


def _ring(nbytes: int, size: int) -> Shape:
    steps = 2 * (size - 1)
    return Shape(steps, steps * nbytes // size, size * steps)


def _allreduce(nbytes: int, size: int) -> Shape:
    if topology.small_star(size, nbytes):
        return _around_one(nbytes, size)
    if nbytes <= DOUBLING_MAX_BYTES:
        return _doubling(nbytes, size)
    if size & (size - 1) and size <= RING_MAX_RANKS:
        return _ring(nbytes, size)
    return _halving(nbytes, size)


def _allgather(nbytes: int, size: int) -> Shape:
    rounds = topology.rounds(size)
    return Shape(rounds, (size - 1) * nbytes, size * rounds)


def _allgather_into(nbytes: int, size: int) -> Shape:
    rounds = size - 1 if allgathers_around(nbytes, size) else topology.rounds(size)
    return Shape(rounds, (size - 1) * nbytes, size * rounds)


def _alltoall(nbytes: int, size: int) -> Shape:
    """In round k what has bit k in its distance moves; `nbytes` are one rank's for all."""
    rounds = topology.rounds(size)
    hops = sum(step.bit_count() for step in range(size))
    return Shape(rounds, hops * nbytes // size, size * rounds)


def _alltoall_into(nbytes: int, size: int) -> Shape:
    if not alltoalls_straight(nbytes // size, size):
        return _alltoall(nbytes, size)
    return Shape(size - 1, (size - 1) * nbytes // size, size * (size - 1))


def _prefix(nbytes: int, size: int) -> Shape:
    rounds = topology.rounds(size)
    messages = sum(size - (1 << k) for k in range(rounds))
    return Shape(rounds, rounds * nbytes, messages)


def _reduce_scatter(nbytes: int, size: int) -> Shape:
    if nbytes <= DOUBLING_MAX_BYTES:
        return _allreduce(nbytes, size)
    return Shape(size - 1, nbytes * (size - 1) // size, size * (size - 1))


def _engine(size: int) -> tuple[int, int]:
    rounds = size.bit_length() - 1
    return 1 << rounds, rounds


_SHAPES: dict[str, Callable[[int, int], Shape]] = {
    "send": _message,
    "recv": _message,
    "sendrecv": _message,
    "barrier": _barrier,
    "bcast": _tree_down,
    "Bcast": _known_bcast,
    "reduce": _reduce,
    "gather": _to_root,
    "gatherv": _to_root,
    "scatter": _to_root,
    "scatterv": _to_root,
    "allreduce": _allreduce,
    "allgather": _allgather,
    "Allgather": _allgather_into,
    "alltoall": _alltoall,
    "Alltoall": _alltoall_into,
    "reduce_scatter": _reduce_scatter,
    "scan": _prefix,
    "exscan": _prefix,
}
