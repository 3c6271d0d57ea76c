"""Keys that are numbered: in the order that people mean, and what is missing of them."""

from __future__ import annotations

from itertools import islice, pairwise
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, NamedTuple

from natsort import natsorted

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

MOST_HOLES = 20


def natural_order(keys: Iterable[str]) -> list[str]:
    """Keys as people number them: `2.pt` before `10.pt`."""
    return list(natsorted(keys))


class Holes(NamedTuple):
    """What a numbered set lacks: how many, and the first of them by name."""

    total: int
    first: list[str]


def missing_from_numbered_set(keys: Sequence[str]) -> Holes:
    """The keys that a set numbered from 0 or 1 without a break would also have.

    A set is numbered if every file name is a number and an ending; sets that start higher have
    their start taken as it is. However large the numbers are, this takes as long as the keys do.
    """
    paths = [PurePosixPath(k) for k in keys]
    if not paths or not all(p.stem.isascii() and p.stem.isdigit() for p in paths):
        return Holes(0, [])
    numbers = sorted({int(p.stem) for p in paths})
    width = len(paths[0].stem) if paths[0].stem.startswith("0") else 1
    parent, suffix = keys[0].rsplit(paths[0].name, 1)[0], paths[0].suffix
    holes = (n for low, high in pairwise(numbers) for n in range(low + 1, high))
    first = [f"{parent}{n:0{width}d}{suffix}" for n in islice(holes, MOST_HOLES)]
    return Holes(numbers[-1] - numbers[0] + 1 - len(numbers), first)
