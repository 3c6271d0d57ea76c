"""Who talks to whom: a circulant graph, and trees that are drawn inside it."""

from __future__ import annotations

# Up to so many ranks a root hears from, or tells, each one itself: one hop instead of log2 n, and
# nothing is carried twice. More would cost it more links than the graph gives it.
STAR_MAX_RANKS = 16


# Few bytes go by way of one rank: two hops for log2 n, and 2(n - 1) messages for n log2 n. On two
# cores with 8 ranks that took a barrier from 432 to 245 µs. More bytes would queue at that rank.
STAR_MAX_BYTES = 1024


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


def star(size: int) -> bool:
    """Return whether a gather or scatter goes straight between the root and each rank."""
    return size <= STAR_MAX_RANKS


def small_star(size: int, nbytes: int) -> bool:
    """Return whether a message of all ranks goes straight between one rank and the others."""
    return 2 < size <= STAR_MAX_RANKS and nbytes <= STAR_MAX_BYTES


def star_around(rank: int, size: int, root: int) -> tuple[int | None, list[int]]:
    """Return the rank above `rank` and those below it, ascending, in the star of `root`."""
    if rank != root:
        return root, []
    return None, [other for other in range(size) if other != root]
