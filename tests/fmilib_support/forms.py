"""Closed forms: what each rank hands in to a collective, and what each must get.

Element i of rank r's array is the (i + r) % 3rd of three values of its dtype. Any three ranks
in a row hand in all three, so the sum over n ranks needs no adding up of arrays.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

COUNTS = (0, 1, 64, 100, 1000, 10_000)
WHOLE = ("?", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8")
PLAIN = (*WHOLE, "f2", "f4", "f8", "g", "c8", "c16", "G")
NUMBERS = (*PLAIN, ">i4", ">f8", "m8[s]")
DTYPES = (*NUMBERS, "M8[s]", "S3", "U2", "i2, f8")
_VALUES: dict[str, list[Any]] = {
    "c": [0, 1 - 2j, 2 - 4j],
    "S": [b"", b"a", b"bcd"],
    "U": ["", "ß", "ab"],
    "V": [(0, 0.5), (1, 1.5), (2, 2.5)],
}


class Forms:
    """All that is known beforehand of one size, count and dtype.

    Args:
        size: ranks.
        count: elements of a rank's array.
        dtype: one of DTYPES.

    Attributes:
        plain: whether the dtype is a machine's number.
        countable: whether it adds up.
        summed: the dtype of its sum, in which booleans are counted.
        share: elements of each equal share of such an array, rounded up.
        counts: elements that each rank hands in or gets where they differ.
        ragged: what all ranks hand in then, one after another.
        parts: counts that share `count` elements out, in unequal parts.
        edges: where those begin and end.
    """

    def __init__(self, size: int, count: int, dtype: str) -> None:
        self.size = size
        self.count = count
        self.dtype = np.dtype(dtype)
        self.share = -(-count // size)
        self.plain = dtype in PLAIN
        self.countable = dtype in NUMBERS
        self.summed = np.dtype("i8" if dtype == "?" else dtype)
        values = _VALUES.get(self.dtype.kind)
        self._values = np.arange(3).astype(dtype) if values is None else np.array(values, dtype)
        self._line = _round(self._values, size * self.share + 3)
        self.counts = [(1 + rank) % 3 * count // 2 for rank in range(size)]
        weights = np.arange(size + 1) ** 2
        self.edges = (weights * count // weights[-1]).tolist()
        self.parts = np.diff(self.edges).tolist()
        self.ragged = np.concatenate([self.part(rank) for rank in range(size)]).astype(self.dtype)

    def mine(self, rank: int) -> Array:
        """Return a rank's array."""
        return self._line[rank % 3 : rank % 3 + self.count]

    def part(self, rank: int) -> Array:
        """Return a rank's array where ranks' counts differ."""
        return self.mine(rank)[: self.counts[rank]]

    @cached_property
    def all_of(self) -> Array:
        """The arrays of all ranks, a row each."""
        return np.array([self.mine(rank) for rank in range(self.size)], self.dtype)

    def _share(self, rank: int) -> Array:
        return self._line[rank % 3 : rank % 3 + self.share]

    def shares(self, rank: int) -> Array:
        """Return what a rank hands to each, a row each: rank r gives s `mine(r + 2 s)`'s start."""
        rows = [self._share(rank + 2 * to) for to in range(self.size)]
        return np.array(rows, self.dtype)

    def received(self, rank: int) -> Array:
        """Return what a rank is handed of each, a row each."""
        return np.array([self._share(of + 2 * rank) for of in range(self.size)], self.dtype)

    def wide(self, rank: int) -> Array:
        """Return a rank's array of an equal share for each rank."""
        return self._line[rank % 3 : rank % 3 + self.size * self.share]

    def share_of_sum(self, rank: int) -> Array:
        """Return the sum over all ranks of that share of `wide` which is a rank's."""
        return self.sum_of(self.size, rank * self.share % 3)[: self.share]

    def sum_of(self, ranks: int, start: int = 0) -> Array:
        """Return the sum of elements start … start + count, over the first ranks.

        Args:
            ranks: how many.
            start: first element, 0 … 2; sums go round in threes too.
        """
        if ranks not in self._sums:
            self._sums[ranks] = _round(self._sum_of_values(ranks), self.count + 3)
        return self._sums[ranks][start : start + self.count]

    @cached_property
    def _sums(self) -> dict[int, Array]:
        return {}

    def _sum_of_values(self, ranks: int) -> Array:
        kind = self.dtype.kind
        wide = {"b": "i8", "c": "G", "f": "g", "m": "m8[s]"}.get(kind, "i8")
        rounds, rest = divmod(ranks, 3)
        values = self._values.astype(wide)
        left = [np.roll(values, -step) for step in range(rest)]
        total: Array = rounds * values.sum() + sum(left, np.zeros(3, wide))
        return total.astype(self.summed)


def _round(values: Array, length: int) -> Array:
    return values[np.arange(length) % len(values)]
