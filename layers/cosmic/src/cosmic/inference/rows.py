"""A rank's rows: block by block through the engine and into its shard."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from cosmic.catalogue import SCHEMA
from cosmic.errors import InputError
from cosmic.inference.engine import Engine, Predictions
from cosmic.inference.giving import Giver
from cosmic.inference.line import Line
from cosmic.inference.predicted import Predicted
from cosmic.inference.share import Share
from cosmic.partitions.stream import Block, BlockReader, Stream
from cosmic.statistics import Statistics

LOOK_S = 0.005


@dataclass
class Progress:
    """What a rank has counted so far."""

    statistics: Statistics = field(default_factory=Statistics.none)
    rows: int = 0
    rows_flagged: int = 0
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

    def count(self, rows: Predicted) -> None:
        """Count rows that have their place in the shard."""
        self.rows += rows.rows
        self.rows_flagged += int(np.count_nonzero(rows.flags))
        if "z_spec" in rows.columns:
            self.statistics += Statistics.of(rows.z_phot, rows.columns["z_spec"])

    def facts(self) -> dict[str, Any]:
        """The record's fields about the rows."""
        return {
            "rows": self.rows,
            "rows_flagged": self.rows_flagged,
            "compute_s": self.compute_s,
            "compute_cpu_s": self.compute_cpu_s,
        }


@dataclass
class Work:
    """A rank's rows and what it needs for them.

    Attributes:
        share: Its batches.
        blocks: Their rows, as they come.
        reader: Where these come from.
        engine: What predicts.
        line: Over which others may take some over.
        stop_by: When no further batch may begin, on the clock of `time.monotonic`.
        progress: What was counted.
    """

    share: Share[Predicted]
    blocks: Stream
    reader: BlockReader
    engine: Engine
    line: Line
    stop_by: float
    progress: Progress = field(default_factory=Progress)

    def __post_init__(self) -> None:
        self._giver = Giver(self.line)

    def facts(self) -> dict[str, Any]:
        """The record's fields about reading, rows and which of them others computed."""
        given = {"rows_given": self._giver.rows_given}
        return {**self.reader.facts(), **self.progress.facts(), **given}

    def predicted(self) -> Iterator[Predicted]:
        """All rows in the order of the plan, whoever computes them.

        Raises:
            InputError: a partition is not what was planned, or time ran out.
            TransientError: S3 failed.
        """
        yield from self._own()
        self._complete()
        yield from self.share.results

    def _own(self) -> Iterator[Predicted]:
        while self.share.open:
            while not self.blocks.ready(LOOK_S):
                self._exchange()
            block = next(self.blocks, None)
            if block is not None:
                rows = Predicted.of(block, self._predict(block, self._begin))
                if rows.rows:
                    yield rows

    def _begin(self) -> bool:
        self._exchange()
        return self.share.begin()

    def _exchange(self) -> None:
        if self._giver.exchange(self.share, self.progress.batch_s):
            self.blocks.stop_before(self.share.batches[self.share.back])

    def _complete(self) -> None:
        """Wait for what others compute while it keeps coming, and compute the rest.

        If nothing has come for the time that a batch takes, one is computed here.
        """
        began, batch_s = time.monotonic(), self.progress.batch_s
        with closing(self._computed_here()) as computed:
            while missing := len(self.share.missing):
                self._exchange()
                in_time = time.monotonic() + (missing + 1) * batch_s < self.stop_by
                if in_time and self._giver.expects_results(began, batch_s):
                    time.sleep(LOOK_S)
                else:
                    next(computed, None)

    def _computed_here(self) -> Generator[None, None, None]:
        """Compute what is missing, last first: helpers begin with the first."""
        todo = self.share.missing[::-1]
        with self.reader.blocks([self.share.batches[b] for b in todo]) as blocks:
            for batch, block in zip(todo, blocks, strict=True):
                if batch in self.share.missing:
                    rows = Predicted.of(block, self._predict(block)).detached()
                    self.share.settle(batch, rows)
                    yield

    def _predict(self, block: Block, go_on: Callable[[], bool] = lambda: True) -> Predictions:
        size = self.engine.batch_size
        return predict_block(block, self.engine, size, self.progress, self.stop_by, go_on)


def infer_rows(work: Work, shard: Path) -> None:
    """Predict a rank's rows and write them to a shard, block by block.

    Raises:
        InputError: a partition is not what was planned, or time ran out.
        TransientError: S3 failed.
    """
    with pq.ParquetWriter(shard, SCHEMA) as writer:
        for rows in work.predicted():
            writer.write_table(rows.table())
            work.progress.count(rows)
    work.progress.ended = time.monotonic()


def predicted_tables(
    blocks: Iterable[Block], engine: Engine, batch_size: int, progress: Progress, stop_by: float
) -> Iterator[pa.Table]:
    """Catalogue rows of each block; `progress` counts a block before its rows are given.

    Raises:
        InputError: a partition is not what was planned, or time ran out.
        TransientError: S3 failed.
    """
    for block in blocks:
        rows = Predicted.of(block, predict_block(block, engine, batch_size, progress, stop_by))
        progress.count(rows)
        yield rows.table()


def predict_block(
    block: Block,
    engine: Engine,
    batch_size: int,
    progress: Progress,
    stop_by: float,
    go_on: Callable[[], bool] = lambda: True,
) -> Predictions:
    """Predict a block batch by batch, as long as `go_on` says before each that it may begin.

    Raises:
        InputError: there is no time for another batch.
    """
    parts = [_NOTHING]
    for image, mag in block.batches(batch_size):
        if time.monotonic() > stop_by:
            raise InputError(
                f"time runs out after {progress.rows} rows",
                code="out-of-time",
                hint="use more ranks (inference.world_size), or more memory for the function",
            )
        if not go_on():
            break
        began, busy = time.monotonic(), time.process_time()
        parts.append(engine.predict(image, mag))
        progress.compute_s += time.monotonic() - began
        progress.compute_cpu_s += time.process_time() - busy
        progress.batches += 1
    return Predictions(
        np.concatenate([p.z_phot for p in parts]),
        np.concatenate([p.z_phot_err for p in parts]),
        np.concatenate([p.flags for p in parts]),
    )


_NOTHING = Predictions(np.empty(0, np.float32), np.empty(0, np.float32), np.empty(0, np.int32))
