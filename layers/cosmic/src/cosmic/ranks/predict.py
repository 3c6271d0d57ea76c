"""Blocks of rows through the engine, and what was counted on the way."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from cosmic.contracts.flags import Flag
from cosmic.contracts.rank_record import ComputePart
from cosmic.data.busy_clock import BusyClock
from cosmic.data.photometry_check import mismatched
from cosmic.data.stream import Block
from cosmic.errors import InputError
from cosmic.metrics.photo_z import implausible
from cosmic.metrics.statistics import Statistics
from cosmic.model.engine import Engine, Predictions
from cosmic.ranks.prediction_block import PredictionBlock


@dataclass
class Progress:
    """What a rank has counted so far.

    Attributes:
        computing: When the streams of the engine were busy.
    """

    statistics: Statistics = field(default_factory=Statistics.none)
    rows: int = 0
    rows_flagged: int = 0
    rows_out_of_domain: int = 0
    implausible_z_spec: int = 0
    batches: int = 0
    computing: BusyClock = field(default_factory=BusyClock)
    began: float = field(default_factory=time.monotonic)
    ended: float | None = None

    @classmethod
    def of(cls, engine: Engine) -> Self:
        """Nothing so far, of what an engine computes."""
        return cls(computing=BusyClock(engine.streams))

    @property
    def batch_s(self) -> float:
        """Wall time of a batch until now or the end, reading included."""
        ended = time.monotonic() if self.ended is None else self.ended
        return (ended - self.began) / max(1, self.batches)

    def count(self, rows: PredictionBlock) -> None:
        """Count rows that have their place in the shard."""
        self.rows += rows.rows
        self.rows_flagged += int(np.count_nonzero(rows.flags))
        self.rows_out_of_domain += int(np.count_nonzero(rows.flags & Flag.OUT_OF_DOMAIN))
        if "z_spec" in rows.columns:
            z_spec = rows.columns["z_spec"]
            self.statistics += Statistics.of(rows.z_phot, z_spec)
            self.implausible_z_spec += implausible(rows.z_phot, z_spec)

    def facts(self) -> ComputePart:
        """The record's fields about the rows."""
        return {
            "rows": self.rows,
            "rows_flagged": self.rows_flagged,
            "implausible_z_spec": self.implausible_z_spec,
            "compute_s": self.computing.total.wall_s,
            "compute_cpu_s": self.computing.total.cpu_s,
        }


def predicted(
    blocks: Iterable[Block],
    engine: Engine,
    progress: Progress,
    stop_by: float,
    go_on: Callable[[], bool] = lambda: True,
    *,
    check_pixels: bool = False,
) -> Generator[tuple[Block, Predictions], None, None]:
    """Blocks with the predictions of their rows, in order, several batches computed at a time.

    Args:
        blocks: Taken one by one, as the engine has room for their batches.
        progress: Counts batches and the time they take.
        stop_by: When no further batch may begin, on the clock of `time.monotonic`.
        go_on: Says of each batch whether it may begin; after one that may not, none does, and the
            block that it belongs to has predictions of its first rows alone.
        check_pixels: Whether objects are flagged whose pixels and magnitudes disagree.

    Raises:
        InputError: there is no time for another batch.
    """

    def computed(batch: _Batch) -> tuple[Block, NDArray[np.float32]]:
        with progress.computing.running():
            return batch.block, engine.redshifts(batch.image, batch.mag)

    def described(block: Block) -> tuple[Block, Predictions]:
        with progress.computing.running():
            return block, _described(block, np.concatenate(parts), engine, check_pixels)

    parts: list[NDArray[np.float32]] = []
    batches = _begun(blocks, engine.batch_size, progress, stop_by, go_on)
    with closing(engine.abreast(computed, batches)) as results:
        for block, z in results:
            progress.batches += 1
            parts.append(z)
            if sum(map(len, parts)) == block.rows:
                yield described(block)
                parts.clear()
        if parts:
            yield described(block)


class _Batch(NamedTuple):
    block: Block
    image: NDArray[Any]
    mag: NDArray[Any]


def _begun(
    blocks: Iterable[Block],
    batch_size: int,
    progress: Progress,
    stop_by: float,
    go_on: Callable[[], bool],
) -> Iterator[_Batch]:
    for block in blocks:
        for image, mag in block.batches(batch_size):
            if time.monotonic() > stop_by:
                raise InputError(
                    f"ran out of time after {progress.rows} rows",
                    code="out-of-time",
                    hint="use more ranks (inference.world_size), or more memory for the function",
                )
            if not go_on():
                return
            yield _Batch(block, image, mag)


def _described(
    block: Block, z: NDArray[np.float32], engine: Engine, check_pixels: bool
) -> Predictions:
    """What is said of a block's first objects, all at once: for a batch alone it takes longer."""
    image, mag = block.columns["image"][: len(z)], block.columns["mag"][: len(z)]
    found = engine.describe(image, mag, z)
    if not check_pixels:
        return found
    odd = mismatched(image, mag)  # objects that are far too bright or too faint in their pixels
    return replace(found, flags=found.flags | odd * np.int32(Flag.PHOTOMETRY_MISMATCH))
