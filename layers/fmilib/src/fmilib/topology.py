"""Who talks to whom: a circulant graph, and trees that are drawn inside it."""

from __future__ import annotations


def rounds(size: int) -> int:
    """Return ⌈log2(size)⌉."""
    return (size - 1).bit_length()


def partners(rank: int, size: int) -> list[int]:
    """Return the ranks at ±2^k of `rank`, ascending, without itself."""
    steps = [1 << k for k in range(rounds(size))]
    around = {(rank + sign * step) % size for step in steps for sign in (1, -1)}
    return sorted(around - {rank})


def parent(rank: int, size: int, root: int) -> int | None:
    """Return the rank above `rank` in the binomial tree of `root`; None for the root."""
    place = (rank - root) % size
    if place == 0:
        return None
    return (place - (place & -place) + root) % size


def children(rank: int, size: int, root: int) -> list[int]:
    """Return the ranks below `rank` in the binomial tree of `root`, smallest subtree first."""
    place = (rank - root) % size
    reach = place & -place or 1 << rounds(size)
    below = [place + (1 << k) for k in range(reach.bit_length() - 1)]
    return [(child + root) % size for child in below if child < size]
