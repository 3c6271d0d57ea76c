"""Which real galaxies train a model and which are held out to test it."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

Split = Literal["train", "test", "all"]
SPLITS: tuple[Split, ...] = ("train", "test", "all")
TEST_SHARE = 5  # one galaxy in so many is held out


def held_out(object_id: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Whether a real galaxy is held out: by a hash of its id alone, so for ever."""
    chosen: NDArray[np.bool_] = mixed(object_id.astype(np.uint64)) % np.uint64(TEST_SHARE) == 0
    return chosen


def mixed(keys: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """A hash of each number: the output function of SplitMix64 (Steele, Lea & Flood 2014)."""
    x = keys + np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    x ^= x >> np.uint64(31)
    return x


def in_split(object_id: NDArray[np.int64], split: Split) -> NDArray[np.bool_]:
    """Which of the real galaxies belong to a split."""
    if split == "all":
        return np.ones(len(object_id), np.bool_)
    test = held_out(object_id)
    return test if split == "test" else ~test
