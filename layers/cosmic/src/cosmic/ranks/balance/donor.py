"""A late rank's side of moving rows: idle ranks offer themselves, it gives, and takes results."""

from __future__ import annotations

import time
from typing import NamedTuple

import fmilib
from cosmic.data.stream import Partitions
from cosmic.ranks.balance.batch_queue import BatchQueue, worth_giving
from cosmic.ranks.balance.channel import ASSIGNMENT, OFFER, RESULT, BalanceChannel, received
from cosmic.ranks.prediction_block import PredictionBlock

UNKNOWN_START_S = 0.1


class Offer(NamedTuple):
    """What an idle rank says of itself; it doesn't know if it had no rows.

    Attributes:
        batch_s: What a batch took it, all in all.
        start_s: What passed before it had rows to compute.
    """

    batch_s: float | None = None
    start_s: float | None = None


class Donor:
    """Gives batches to ranks that offered themselves, one message each.

    With them go the partitions that they are of: a helper knows only those of its own rows.

    Attributes:
        rows_given: Rows that others computed for this rank.
        heard_at: When the last result came, on the clock of `time.monotonic`.
    """

    def __init__(self, channel: BalanceChannel, partitions: Partitions) -> None:
        self._channel, self._partitions = channel, partitions
        self._idle: dict[int, Offer] = {}
        self.rows_given = 0
        self.heard_at = 0.0

    def exchange(self, queue: BatchQueue[PredictionBlock], own_s: float) -> bool:
        """Take in what has come and give what is worth it; never waits.

        Args:
            queue: This rank's batches.
            own_s: What one takes it, all in all.

        Returns:
            Whether something was given.
        """
        return self._channel.use(lambda comm: self._exchange(comm, queue, own_s), otherwise=False)

    def expects_results(self, since: float, within_s: float) -> bool:
        """Whether more may come: the last result, or `since`, is so short a time ago."""
        quiet_s = time.monotonic() - max(since, self.heard_at)
        return self._channel.error is None and quiet_s < within_s

    def _exchange(
        self, comm: fmilib.Communicator, queue: BatchQueue[PredictionBlock], own_s: float
    ) -> bool:
        for _, (batch, message) in received(comm, RESULT):
            predicted = PredictionBlock(**message)
            self.heard_at = time.monotonic()
            if queue.settle(batch, predicted):
                self.rows_given += predicted.rows
        self._idle |= {rank: Offer(*offer) for rank, offer in received(comm, OFFER)}
        before = queue.open
        for rank in list(self._idle):
            self._give(comm, queue, own_s, rank)
        return queue.open < before

    def _give(
        self, comm: fmilib.Communicator, queue: BatchQueue[PredictionBlock], own_s: float, rank: int
    ) -> None:
        offer = self._idle[rank]
        start_s = UNKNOWN_START_S if offer.start_s is None else offer.start_s
        count = worth_giving(queue.open, own_s, offer.batch_s or own_s, start_s)
        if count:
            del self._idle[rank]
            given = [(b, queue.batches[b]) for b in queue.give(count)]
            batches = [(b, s.partition, s.start, s.stop) for b, s in given]
            touched = {s.partition for _, s in given}
            partitions = [(p, self._partitions[p].model_dump_json()) for p in sorted(touched)]
            comm.isend((batches, partitions), rank, ASSIGNMENT)
