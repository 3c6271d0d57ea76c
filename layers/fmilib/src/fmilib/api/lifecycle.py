"""The life of a communicator: forming, leaving, and making communicators from it."""

from __future__ import annotations

import time

from fmilib.api.engine import Engine
from fmilib.api.operands import whole
from fmilib.channels.subchannel import SubChannel
from fmilib.collectives.exchange import allgather
from fmilib.links.link import LinkTrouble
from fmilib.wire import codec
from fmilib.wire.frames import Operation


class Lifecycle:
    """Forming, leaving and splitting.

    Args:
        engine: Of the communicator.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def formed(self) -> bool:
        """See `Communicator.formed`."""
        self._engine.state.check()
        return self._engine.control is None or self._engine.state.epoch is not None

    def close(self) -> None:
        """See `Communicator.close`."""
        engine = self._engine
        if engine.closed:
            return
        engine.closed = True
        if engine.context:
            return
        if engine.control is not None:
            self._drain()
            self._flush()
            engine.control.finish()
        engine.state.close()

    def check_rejoin(self, *, possible: bool) -> None:
        """Refuse a job that can't be formed again.

        Args:
            possible: Whether it is known how to join again.

        Raises:
            ValueError: the job was joined with on_failure="abort", or hasn't failed.
        """
        policy = self._engine.settings.on_failure
        if not possible or policy != "rejoin" or self._engine.context:
            raise ValueError(
                "rejoin needs what connect(on_failure='rejoin') returned for several ranks; "
                f"on_failure is {policy!r}"
            )
        if not self._engine.state.failed:
            raise ValueError("the job hasn't failed: rejoin is for a job that has")

    def split(self, color: int | None, key: int) -> Engine | None:
        """Return the engine of a new communicator; see `Communicator.split`."""
        engine = self._engine
        color, key = None if color is None else whole("color", color), whole("key", key)
        if color is not None and color < 0:
            raise ValueError(f"color must be None or 0 or more, got {color}")
        mine = (color, key, engine.rank, engine.last_context[0])
        parts = codec.encode(mine)
        call = engine.collective(Operation.ALLGATHER)
        blobs = engine.run("split", lambda: allgather(engine.channel, call, parts))
        told = [mine, *(codec.decode(blob) for blob in blobs.values())]
        colors = sorted({one[0] for one in told} - {None})
        first = max(one[3] for one in told) + 1
        engine.last_context[0] = first + len(colors)
        if color is None:
            return None
        members = [rank for _, rank in sorted((one[1], one[2]) for one in told if one[0] == color)]
        return self._child(members, first + colors.index(color))

    def _child(self, members: list[int], context: int) -> Engine:
        engine = self._engine
        made = Engine(
            engine.settings,
            SubChannel(engine.channel, members, members.index(engine.rank)),
            engine.state,
            engine.control,
            engine.stats,
            engine.form_by,
            context,
        )
        made.last_context = engine.last_context
        return made

    def _drain(self) -> None:
        """Send what was begun; if that fails, the job has failed."""
        try:
            if not self._engine.state.failed:
                self._engine.channel.drain()
        except LinkTrouble as trouble:
            self._engine.settle("close", trouble)

    def _flush(self) -> None:
        """Say goodbye on every link and wait, bounded, until all of it is acknowledged."""
        links = [] if self._engine.state.failed else self._engine.state.links()
        links = [link for link in links if link.peer not in self._engine.state.lost]
        for link in links:
            link.bye()
        until, pause_s = time.monotonic() + self._engine.settings.timeout_s, 0.0002
        while any(link.unsent() for link in links) and not self._engine.state.failed:
            if time.monotonic() > until:
                return
            time.sleep(pause_s)
            pause_s = min(2 * pause_s, 0.01)
