"""The life of a communicator: forming, leaving, failing, forming anew, and its children."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from fmilib.api.engine import Engine
from fmilib.api.operands import whole
from fmilib.channels.subchannel import SubChannel
from fmilib.collectives.exchange import allgather
from fmilib.config import check_timeout
from fmilib.cost_model.estimate import Explanation
from fmilib.errors import Aborted
from fmilib.links.link import LinkTrouble
from fmilib.stats import Stats
from fmilib.wire import codec
from fmilib.wire.frames import Operation


class Lifecycle(Engine):
    """What a communicator is asked beside messages and collectives."""

    def form(self) -> None:
        """Wait until all ranks are there; `connect` has done it unless told not to wait.

        Raises:
            Timeout: some didn't come in time; it names them.
            FmiError: the job failed.
        """
        self._ready()

    @property
    def formed(self) -> bool:
        """Whether all ranks are there, so that no call has to wait for the forming; never waits.

        Raises:
            FmiError: the job failed.
        """
        self._state.check()
        return self._control is None or self._state.epoch is not None

    def stats(self) -> Stats:
        """Return a copy of this communicator's counters."""
        return copy.deepcopy(self._stats)

    def explain(self, op: str, nbytes: int = 0) -> Explanation:
        """Return what an operation takes and costs on every channel; printed, the sums.

        Args:
            op: a method's name, like "allreduce".
            nbytes: payload that one rank hands in.

        Raises:
            ValueError: no operation has that name.
        """
        return self.advisor.explain(op, nbytes)

    def abort(self, reason: str) -> None:
        """Stop the job: every rank, this one included, raises Aborted from now on."""
        self._spread(Aborted(self._settings.rank, reason))

    def close(self) -> None:
        """Leave: wait until what was sent has reached its ranks' machines, then let go.

        Not a barrier; other ranks may go on without this one. Safe to call twice.
        """
        if self._closed:
            return
        self._closed = True
        if self._context:
            return
        if self._control is not None:
            self._drain()
            self._flush()
            self._control.finish()
        self._state.close()

    def rejoins_by(self, join_again: Callable[[float | None], Self]) -> None:
        """Take in how to join the job again within so many seconds; `connect` says it."""
        self._join_again = join_again

    def rejoin(self, timeout_s: float | None = None) -> Self:
        """Leave the failed job and form it anew, with all its ranks; return the new communicator.

        Every surviving rank calls it, and the lost one is started again, with a generation above
        that of its last attempt. The forming has a new epoch, so nothing of the old one can
        match. This communicator, and all that came of it, is closed.

        Args:
            timeout_s: bound of this forming alone; the job's time-out if None.

        Raises:
            ValueError: the job was joined with on_failure="abort", or hasn't failed.
            Timeout: not all ranks came in time; it names them.
            FmiError: as `connect`.
        """
        if self._join_again is None or self._settings.on_failure != "rejoin" or self._context:
            policy = self._settings.on_failure
            raise ValueError(
                "rejoin needs what connect(on_failure='rejoin') returned for several ranks; "
                f"on_failure is {policy!r}"
            )
        if not self._state.failed:
            raise ValueError("the job hasn't failed: rejoin is for a job that has")
        if timeout_s is not None:
            check_timeout(timeout_s)
        self.close()
        return self._join_again(timeout_s)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is not None and not self._state.failed:
            self.abort(f"{type(error).__name__}: {error}")
        self.close()

    def __repr__(self) -> str:
        place = f"rank {self.rank} of {self.size} in {self._settings.job!r}"
        return f"<Communicator {place}, context {self._context}>"

    def dup(self) -> Self:
        """Return a communicator of the same ranks whose messages never meet this one's.

        All ranks call it together. Closing it ends only itself.

        Raises:
            FmiError: the job failed.
        """
        made = self.split(0, self.rank)
        assert made is not None  # noqa: S101 - a colour was given
        return made

    def split(self, color: int | None, key: int = 0) -> Self | None:
        """Return a communicator of the ranks that gave the same color, ordered by key.

        All ranks call it together. Equal keys keep the order of ranks. Errors go on naming
        ranks as the job numbers them.

        Args:
            color: 0 or more; None to be in no new communicator.
            key: any integer.

        Raises:
            ValueError, TypeError: before anything is sent.
            FmiError: the job failed.
        """
        color, key = None if color is None else whole("color", color), whole("key", key)
        if color is not None and color < 0:
            raise ValueError(f"color must be None or 0 or more, got {color}")
        mine = (color, key, self.rank, self._last_context[0])
        parts = codec.encode(mine)
        call = self._collective(Operation.ALLGATHER)
        blobs = self._run("split", lambda: allgather(self._channel, call, parts))
        told = [mine, *(codec.decode(blob) for blob in blobs.values())]
        colors = sorted({one[0] for one in told} - {None})
        first = max(one[3] for one in told) + 1
        self._last_context[0] = first + len(colors)
        if color is None:
            return None
        members = [rank for _, rank in sorted((one[1], one[2]) for one in told if one[0] == color)]
        return self._child(members, first + colors.index(color))

    def _child(self, members: list[int], context: int) -> Self:
        channel = SubChannel(self._channel, members, members.index(self.rank))
        made = type(self)(
            self._settings, channel, self._state, self._control, self._stats, self._form_by, context
        )
        made._last_context = self._last_context
        return made

    def _drain(self) -> None:
        """Send what was begun; if that fails, the job has failed."""
        try:
            if not self._state.failed:
                self._channel.drain()
        except LinkTrouble as trouble:
            self._settle("close", trouble)

    def _flush(self) -> None:
        """Say goodbye on every link and wait, bounded, until all of it is acknowledged."""
        links = [] if self._state.failed else self._state.links()
        links = [link for link in links if link.peer not in self._state.lost]
        for link in links:
            link.bye()
        until, pause_s = time.monotonic() + self._settings.timeout_s, 0.0002
        while any(link.unsent() for link in links) and not self._state.failed:
            if time.monotonic() > until:
                return
            time.sleep(pause_s)
            pause_s = min(2 * pause_s, 0.01)
