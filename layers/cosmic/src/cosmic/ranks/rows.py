"""A rank's rows: block by block through the engine and into its shard."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from cosmic.contracts.bands import Bands
from cosmic.contracts.catalogue_columns import Rows
from cosmic.contracts.plan import PlanSettings
from cosmic.contracts.rank_record import WorkPart
from cosmic.contracts.shard import write_shard
from cosmic.data.stream import Block, BlockReader, Stream
from cosmic.errors import InputError
from cosmic.model.engine import Engine, Predictions
from cosmic.ranks.balance.batch_queue import BatchQueue
from cosmic.ranks.balance.channel import BalanceChannel
from cosmic.ranks.balance.donor import Donor
from cosmic.ranks.predict import Progress, predicted
from cosmic.ranks.prediction_block import PredictionBlock

LOOK_S = 0.005


@dataclass
class Work:
    """A rank's rows and what it needs for them.

    Attributes:
        queue: Its batches.
        blocks: Their rows, as they come.
        reader: Where these come from.
        engine: What predicts.
        channel: Over which others may take some over.
        stop_by: When no further batch may begin, on the clock of `time.monotonic`.
        check_pixels: Whether objects are flagged whose pixels and magnitudes disagree.
        tolerant: Whether the run may lack rows.
        progress: What was counted.
        seen: Called with the rows done after each block.
    """

    queue: BatchQueue[PredictionBlock]
    blocks: Stream
    reader: BlockReader
    engine: Engine
    channel: BalanceChannel
    stop_by: float
    check_pixels: bool = False
    tolerant: bool = True
    progress: Progress = field(init=False)
    seen: Callable[[int], None] = lambda rows: None

    def __post_init__(self) -> None:
        self.progress = Progress.of(self.engine)
        self._donor = Donor(self.channel, self.reader.partitions)

    def facts(self) -> WorkPart:
        """The record's fields about reading, rows and which of them others computed."""
        return {
            **self.reader.facts(),
            **self.progress.facts(),
            "rows_given": self._donor.rows_given,
        }

    def predicted(self) -> Iterator[PredictionBlock]:
        """All rows in the order of the plan, whichever rank computes them.

        Raises:
            InputError: a partition is not what was planned, time ran out, or none of the first rows
                has a prediction and the run tolerates no loss.
            TransientError: S3 failed.
        """
        yield from self._own()
        self._complete()
        yield from self.queue.results

    def _own(self) -> Iterator[PredictionBlock]:
        with closing(self._predict(self._blocks_as_they_come(), self._begin)) as found:
            for block, predictions in found:
                rows = PredictionBlock.of(block, predictions)
                self._refuse_nothing(rows)
                yield rows

    def _blocks_as_they_come(self) -> Iterator[Block]:
        while self.queue.open:
            while not self.blocks.ready(LOOK_S):
                self._exchange()
            block = next(self.blocks, None)
            if block is not None:
                yield block

    def _refuse_nothing(self, rows: PredictionBlock) -> None:
        """Stop at the first rows if none has a prediction, where the run can only fail then."""
        first = self.progress.rows == 0
        if first and not self.tolerant and not np.isfinite(rows.z_phot).any():
            message = f"the model gives no finite redshift for any of the first {rows.rows} rows"
            hint = "check the model and its input, or let tolerate.failed_rows_percent be above 0"
            raise InputError(message, code="no-predictions", hint=hint)

    def _begin(self) -> bool:
        self._exchange()
        return self.queue.begin()

    def _exchange(self) -> None:
        if self._donor.exchange(self.queue, self.progress.batch_s):
            self.blocks.stop_before(self.queue.batches[self.queue.back])

    def _complete(self) -> None:
        """Wait for what others compute while it keeps coming, and compute the rest.

        If nothing has come for the time that a batch takes, one is computed here.
        """
        began, batch_s = time.monotonic(), self.progress.batch_s
        with closing(self._computed_here()) as computed:
            while missing := len(self.queue.missing):
                self._exchange()
                in_time = time.monotonic() + (missing + 1) * batch_s < self.stop_by
                if in_time and self._donor.expects_results(began, batch_s):
                    time.sleep(LOOK_S)
                else:
                    next(computed, None)

    def _computed_here(self) -> Generator[None, None, None]:
        """Compute what is missing, last first: helpers begin with the first."""
        todo = self.queue.missing[::-1]
        batches = [self.queue.batches[b] for b in todo]
        numbers = {(one.partition, one.start): b for one, b in zip(batches, todo, strict=True)}
        with self.reader.blocks(batches) as blocks:
            needed = (b for b in blocks if numbers[b.partition, b.start] in self.queue.missing)
            with closing(self._predict(needed)) as found:
                for block, predictions in found:
                    rows = PredictionBlock.of(block, predictions).detached()
                    self.queue.settle(numbers[block.partition, block.start], rows)
                    yield

    def _predict(
        self, blocks: Iterable[Block], go_on: Callable[[], bool] = lambda: True
    ) -> Generator[tuple[Block, Predictions], None, None]:
        return predicted(
            blocks,
            self.engine,
            self.progress,
            self.stop_by,
            go_on,
            check_pixels=self.check_pixels,
        )


def infer_rows(work: Work, shard: Path, rows: int, id_bytes: int | None, bands: Bands) -> None:
    """Predict a rank's rows and write them to a shard, block by block.

    Args:
        work: The rows.
        shard: The file.
        rows: How many the rank has.
        id_bytes: Bytes of the longest id of the run if ids are text; None: they are whole numbers.
        bands: Of the model.

    Raises:
        InputError: a partition is not what was planned, or time ran out.
        TransientError: S3 failed.
    """
    with shard.open("wb") as file, closing(_counted(work, bands)) as counted:
        write_shard(file, rows, id_bytes, counted, bands)
    work.progress.ended = time.monotonic()


def _counted(work: Work, bands: Bands) -> Generator[Rows, None, None]:
    """The rows of the catalogue; a block counts as done when the next one is asked for."""
    for block in work.predicted():
        yield block.catalogue_rows(bands)
        work.progress.count(block)
        work.seen(work.progress.rows)


def predicted_rows(
    blocks: Iterable[Block], engine: Engine, plan: PlanSettings, progress: Progress, stop_by: float
) -> Iterator[Rows]:
    """Catalogue rows of each block; `progress` counts a block before its rows are given.

    Raises:
        InputError: a partition is not what was planned, or time ran out.
        TransientError: S3 failed.
    """
    check = plan.check_pixels
    with closing(predicted(blocks, engine, progress, stop_by, check_pixels=check)) as found:
        for block, predictions in found:
            rows = PredictionBlock.of(block, predictions)
            progress.count(rows)
            yield rows.catalogue_rows(plan.model.bands)
