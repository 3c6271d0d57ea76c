"""A gather that survives the loss of ranks, and reports them."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import Any

from fmilib.api.engine import Engine
from fmilib.channels.tcp import TcpChannel
from fmilib.wire import codec
from fmilib.wire.frames import Envelope, Operation


@dataclass(frozen=True, slots=True)
class Gathered:
    """The result of a gather in which ranks may be missing.

    Attributes:
        values: a list in rank order; None for a rank that is missing.
        missing: the reason for each rank that is missing; empty if none is.
    """

    values: list[Any]
    missing: dict[int, str]


class PartialGather:
    """Gathering from the ranks that are left.

    Args:
        engine: Runs each call.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def gather(self, value: Any, root: int, deadline: float | None) -> Gathered | None:
        """See `Communicator.gather` with missing="report"."""
        bound_s = self._engine.settings.timeout_s if deadline is None else deadline
        if not (math.isfinite(bound_s) and bound_s > 0):
            raise ValueError(f"deadline must be seconds from now, above 0; got {deadline}")
        if self._engine.context or (
            self._engine.size > 1 and not isinstance(self._engine.channel, TcpChannel)
        ):
            raise ValueError(
                "missing='report' needs the communicator that connect returned, over the "
                f"direct channel; this one is of channel {self._engine.settings.channel!r}"
            )
        parts = codec.encode(value)
        call = self._engine.collective(Operation.REPORT, root=root)
        if self._engine.rank != root:
            self._engine.run("gather", lambda: self._engine.channel.send(root, call, parts), root)
            return None
        until = time.monotonic() + bound_s
        blobs, missing = self._engine.run("gather", lambda: self._collect(call, until), root)
        values = [
            codec.decode(blobs[rank]) if rank in blobs else None
            for rank in range(self._engine.size)
        ]
        values[root] = value
        late = f"nothing came of it in {bound_s:g} s"
        ranks = [rank for rank in range(self._engine.size) if rank not in blobs and rank != root]
        return Gathered(values, {rank: missing.get(rank, late) for rank in ranks})

    def _collect(
        self, call: Envelope, until: float
    ) -> tuple[dict[int, memoryview], dict[int, str]]:
        if not isinstance(self._engine.channel, TcpChannel):
            return {}, {}
        return self._engine.channel.collect(call, until, self._engine.patience_s())
