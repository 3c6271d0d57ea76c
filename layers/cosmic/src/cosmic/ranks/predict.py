"""Blocks of rows through the engine, and what was counted on the way."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cosmic.contracts.flags import Flag
from cosmic.contracts.rank_record import ComputePart
from cosmic.data.photometry_check import mismatched
from cosmic.data.stream import Block
from cosmic.errors import InputError
from cosmic.metrics.photo_z import implausible
from cosmic.metrics.statistics import Statistics
from cosmic.model.engine import Engine, Predictions
from cosmic.ranks.prediction_block import PredictionBlock


@dataclass
class Progress:
    """What a rank has counted so far."""

    statistics: Statistics = field(default_factory=Statistics.none)
    rows: int = 0
    rows_flagged: int = 0
    rows_out_of_domain: int = 0
    implausible_z_spec: int = 0
    compute_s: float = 0.0
    compute_cpu_s: float = 0.0
    batches: int = 0
    began: float = field(default_factory=time.monotonic)
    ended: float | None = None

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
            "compute_s": self.compute_s,
            "compute_cpu_s": self.compute_cpu_s,
        }


def predict_block(
    block: Block,
    engine: Engine,
    batch_size: int,
    progress: Progress,
    stop_by: float,
    go_on: Callable[[], bool] = lambda: True,
    *,
    check_pixels: bool = False,
) -> Predictions:
    """Predict a block batch by batch, as long as `go_on` says before each that it may begin.

    Args:
        check_pixels: Whether objects are flagged whose pixels and magnitudes disagree.

    Raises:
        InputError: there is no time for another batch.
    """
    parts: list[Predictions] = []
    for image, mag in block.batches(batch_size):
        if time.monotonic() > stop_by:
            raise InputError(
                f"ran out of time after {progress.rows} rows",
                code="out-of-time",
                hint="use more ranks (inference.world_size), or more memory for the function",
            )
        if not go_on():
            break
        began, busy = time.monotonic(), time.process_time()
        predicted = engine.predict(image, mag)
        parts.append(_compared(predicted, image, mag) if check_pixels else predicted)
        progress.compute_s += time.monotonic() - began
        progress.compute_cpu_s += time.process_time() - busy
        progress.batches += 1
    return Predictions.together(parts)


def _compared(predicted: Predictions, image: NDArray[Any], mag: NDArray[Any]) -> Predictions:
    """The same, with a flag for objects that are far too bright or too faint in their pixels."""
    odd = mismatched(image, mag)
    return replace(predicted, flags=predicted.flags | odd * np.int32(Flag.PHOTOMETRY_MISMATCH))
