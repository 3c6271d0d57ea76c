"""The end of a rank's work: what all ranks do together, or why they could not."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

from cosmic.contracts.rank_record import MessagesPart
from cosmic.errors import CommunicationError
from cosmic.metrics.statistics import Statistics
from cosmic.ranks.balance.helper import Helper
from cosmic.ranks.session import RankSession, ReductionResult, close_together


@dataclass(frozen=True)
class Closing:
    """How the conversation with the other ranks ended.

    Attributes:
        idle_s: Time without work until all had come, or until this rank gave up.
    """

    state: str
    reduction: ReductionResult | None = None
    error: str | None = None
    idle_s: float = 0.0

    def and_balance(self, error: str | None) -> Closing:
        """The same, degraded by what befell the moving of rows, if anything."""
        if error is None or self.state == "none":
            return self
        return replace(self, state="degraded", error=self.error or error)

    def facts(self) -> MessagesPart:
        """The record's fields about FMI."""
        return {
            "fmi": self.state,
            "fmi_error": self.error,
            "joined_at_s": self.reduction.joined_at_s if self.reduction else None,
            "left_at_s": self.reduction.left_at_s if self.reduction else None,
            "fmi_stats": self.reduction.stats if self.reduction else {},
            "idle_s": self.idle_s,
        }


def close(
    session: RankSession, statistics: Statistics, shard: bytes, timeout_s: float, helper: Helper
) -> Closing:
    """Do with the other ranks what they do together, and help late ones until they come.

    A failure is told, not raised.
    """
    if session.plan.channel == "none":
        return Closing("none")
    began, began_at_s = time.monotonic(), time.time()
    try:
        reduction = close_together(session, statistics, shard, timeout_s, helper)
    except CommunicationError as error:
        waited_s = time.monotonic() - began
        return Closing("degraded", error=error.message, idle_s=waited_s - helper.helped_s)
    return Closing("ok", reduction, idle_s=reduction.joined_at_s - began_at_s - helper.helped_s)
