"""An idle rank's side of moving rows: it offers itself, computes what it is given, and answers."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import TYPE_CHECKING, Self

import fmilib
from cosmic.contracts.plan import PlannedPartition, Slice
from cosmic.contracts.rank_record import HelpPart
from cosmic.data.stream import BlockReader
from cosmic.errors import CosmicError
from cosmic.model.engine import Engine
from cosmic.ranks.balance.channel import ASSIGNMENT, OFFER, RESULT, BalanceChannel, received
from cosmic.ranks.balance.donor import Offer
from cosmic.ranks.predict import Progress, predicted
from cosmic.ranks.prediction_block import PredictionBlock
from fmilib.topology import partners

if TYPE_CHECKING:
    from cosmic.ranks.rows import Work

LOOK_S = 0.005
Assignment = tuple[Sequence[tuple[int, int, int, int]], Sequence[tuple[int, str]]]


class Helper:
    """What a rank does while it waits for the others; call it again and again.

    It offers itself to its partners in the graph of links, at most 2 log2 n of them.

    Args:
        channel: To the others.
        reader: Of the run's partitions; for these rows alone.
        offer: What it says of itself.
        stop_by: When no further batch may begin, on the clock of `time.monotonic`.
        check_pixels: Whether objects are flagged whose pixels and magnitudes disagree.

    Attributes:
        progress: Of the rows that it computed for others.
        rows_taken: How many of them it has answered.
        helped_s: The time that they took.
    """

    def __init__(
        self,
        channel: BalanceChannel,
        reader: BlockReader,
        engine: Engine,
        offer: Offer,
        stop_by: float,
        *,
        check_pixels: bool = False,
    ) -> None:
        self._channel, self._engine, self._stop_by = channel, engine, stop_by
        self._check_pixels = check_pixels
        self._offer = offer
        self._offered: set[int] = set()
        self._turns = self._until_it_fails()
        self.reader = reader
        self.progress = Progress.of(engine)
        self.rows_taken = 0
        self.helped_s = 0.0

    @classmethod
    def after(cls, work: Work, reader: BlockReader) -> Self:
        """A rank that has finished its own work."""
        paced = work.progress.batches > 0
        offer = Offer(work.progress.batch_s, work.reader.first_block_s) if paced else Offer()
        check = work.check_pixels
        return cls(work.channel, reader, work.engine, offer, work.stop_by, check_pixels=check)

    def __call__(self) -> None:
        """Compute one batch of another rank, or rest a moment."""
        began = time.monotonic()
        if next(self._turns, False):
            self.helped_s += time.monotonic() - began
        else:
            time.sleep(LOOK_S)

    def facts(self) -> HelpPart:
        """The record's fields about help."""
        return {
            "rows_taken": self.rows_taken,
            "helped_s": self.helped_s,
            "helped_compute_s": self.progress.computing.total.wall_s,
        }

    def _until_it_fails(self) -> Iterator[bool]:
        """Whether each turn computed something; what fails here is for the rows' owner to meet."""
        try:
            while True:
                self._channel.use(self._offer_to_all, otherwise=None)
                assignment = self._channel.use(
                    lambda comm: next(received(comm, ASSIGNMENT), None), None
                )
                if assignment is None:
                    yield False
                else:
                    yield from self._compute(*assignment)
        except CosmicError as error:
            self._channel.fail(str(error))

    def _offer_to_all(self, comm: fmilib.Communicator) -> None:
        for rank in partners(comm.rank, comm.size):
            if rank not in self._offered:
                self._offered.add(rank)
                comm.isend(tuple(self._offer), rank, OFFER)

    def _compute(self, owner: int, assignment: Assignment) -> Iterator[bool]:
        batches, partitions = assignment
        self.reader.learn({p: PlannedPartition.model_validate_json(t) for p, t in partitions})
        slices = [Slice(partition=p, start=start, stop=stop) for _, p, start, stop in batches]
        with self.reader.blocks(slices) as blocks:
            found = predicted(
                blocks,
                self._engine,
                self.progress,
                self._stop_by,
                check_pixels=self._check_pixels,
            )
            with closing(found):
                for (batch, *_), (block, rows) in zip(batches, found, strict=True):
                    self._answer(owner, batch, PredictionBlock.of(block, rows))
                    yield True
        self._offered.discard(owner)

    def _answer(self, owner: int, batch: int, rows: PredictionBlock) -> None:
        answer = [batch, rows.message()]
        if self._channel.use(lambda comm: comm.isend(answer, owner, RESULT), None):
            self.rows_taken += rows.rows
