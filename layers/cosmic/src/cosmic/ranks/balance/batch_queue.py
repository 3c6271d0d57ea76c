"""Which rank computes which batch of one rank's rows: itself from the front, helpers from the back.

Nothing here knows of messages or clocks. Each batch ends with exactly one result, whoever computes
it; computing it twice does no harm, for a batch has the same bits on every rank.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Generic, TypeVar

from cosmic.contracts.plan import Slice

Result = TypeVar("Result")
GIVEN_OF_FAIR = 0.5
LEAST_GAIN = 0.5


class BatchQueue(Generic[Result]):
    """The batches of one rank.

    Those before `front` are begun by the rank itself, those from `back` on were given away, and
    those between are open.

    Attributes:
        batches: All of them, in the order of the plan.
    """

    def __init__(self, slices: Sequence[Slice], batch_size: int) -> None:
        self.batches = [
            Slice(partition=s.partition, start=start, stop=min(start + batch_size, s.stop))
            for s in slices
            for start in range(s.start, s.stop, batch_size)
        ]
        self.front, self.back = 0, len(self.batches)
        self._results: dict[int, Result] = {}

    @property
    def open(self) -> int:
        """Number of batches that are neither begun nor given away."""
        return self.back - self.front

    @property
    def missing(self) -> list[int]:
        """The batches that were given away and have no result yet, in order."""
        return [b for b in range(self.back, len(self.batches)) if b not in self._results]

    @property
    def results(self) -> list[Result]:
        """The results of those that were given away, in order, as far as there are any."""
        return [self._results[b] for b in sorted(self._results)]

    def begin(self) -> bool:
        """Begin the next open batch; return False if there is none."""
        if not self.open:
            return False
        self.front += 1
        return True

    def give(self, count: int) -> list[int]:
        """Give away the last open batches, at most this many; return them in order."""
        end, self.back = self.back, max(self.front, self.back - count)
        return list(range(self.back, end))

    def settle(self, batch: int, result: Result) -> bool:
        """Take the result of a batch that was given away; return whether it was the first."""
        if batch not in self.missing:
            return False
        self._results[batch] = result
        return True


def worth_giving(left: int, own_s: float, helper_s: float, start_s: float) -> int:
    """How many of its open batches a rank should give to an idle one.

    Half of those with which both would end together: others may become idle, too, and this one
    comes again. One, if that alone still saves half the time of a batch; else none.

    Args:
        left: Open batches.
        own_s: What a batch takes this rank, all in all.
        helper_s: What it takes the idle one.
        start_s: What passes before the idle one has rows to compute.
    """
    fair = (left * own_s - start_s) / (own_s + helper_s)
    if fair * GIVEN_OF_FAIR >= 1:
        return int(fair * GIVEN_OF_FAIR)
    with_one = max((left - 1) * own_s, start_s + helper_s)
    return int(left > 0 and left * own_s - with_one > LEAST_GAIN * own_s)
