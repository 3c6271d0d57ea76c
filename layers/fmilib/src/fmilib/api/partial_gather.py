"""A gather that loses the lost ranks alone."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import Any

from fmilib.api.point_to_point import MessageCalls
from fmilib.channels.tcp import TcpChannel
from fmilib.wire import codec
from fmilib.wire.frames import Envelope, Operation


@dataclass(frozen=True, slots=True)
class Gathered:
    """What a gather brought that may miss some.

    Attributes:
        values: a list in rank order; None for a rank that is missing.
        missing: why, of each rank that is missing; empty if none is.
    """

    values: list[Any]
    missing: dict[int, str]


class ReportCalls(MessageCalls):
    """Gathering what there is."""

    def _gather_report(self, value: Any, root: int, deadline: float | None) -> Gathered | None:
        """See `gather`."""
        bound_s = self._settings.timeout_s if deadline is None else deadline
        if not (math.isfinite(bound_s) and bound_s > 0):
            raise ValueError(f"deadline must be seconds from now, above 0; got {deadline}")
        if self._context or (self.size > 1 and not isinstance(self._channel, TcpChannel)):
            raise ValueError(
                "missing='report' needs the communicator that connect returned, over the "
                f"direct channel; this one is of channel {self._settings.channel!r}"
            )
        parts = codec.encode(value)
        call = self._collective(Operation.REPORT, root=root)
        if self.rank != root:
            self._run("gather", lambda: self._channel.send(root, call, parts), root)
            return None
        until = time.monotonic() + bound_s
        blobs, missing = self._run("gather", lambda: self._collect(call, until), root)
        values = [codec.decode(blobs[rank]) if rank in blobs else None for rank in range(self.size)]
        values[root] = value
        late = f"nothing came of it in {bound_s:g} s"
        ranks = [rank for rank in range(self.size) if rank not in blobs and rank != root]
        return Gathered(values, {rank: missing.get(rank, late) for rank in ranks})

    def _collect(
        self, call: Envelope, until: float
    ) -> tuple[dict[int, memoryview], dict[int, str]]:
        if not isinstance(self._channel, TcpChannel):
            return {}, {}
        return self._channel.collect(call, until, self._patience_s())
