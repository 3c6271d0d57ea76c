"""The channel over which rows move between ranks, from a rank's start to the end of its closing.

It is a job of its own, apart from the closing's: whatever befalls it costs no collective. Joining
goes on beside the work, and nobody waits for others to have joined.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Self, TypeVar

import fmilib
from cosmic.ranks.session import SHORTEST_WAIT_S, RankSession

CHANNEL = "direct"
PURPOSE = "balance"
LONGEST_WAIT_S = 15.0
OFFER, ASSIGNMENT, RESULT = 1, 2, 3
Found = TypeVar("Found")


class BalanceChannel:
    """A rank's end of the channel; a context manager.

    Without a session, or once it has failed, it is dead: nothing comes and nothing goes.

    Attributes:
        error: Why it failed.
    """

    def __init__(self, session: RankSession | None, timeout_s: float) -> None:
        self._pool = ThreadPoolExecutor(1, "balance")
        self._joining: Future[fmilib.Communicator] | None = None
        self.error: str | None = None
        if session is not None:
            self._joining = self._pool.submit(session.connect, timeout_s, PURPOSE)

    @classmethod
    def between(cls, session: RankSession, timeout_s: float) -> Self:
        """The channel of a run whose ranks can move rows: several, linked directly."""
        can = session.plan.channel == CHANNEL and session.plan.world_size > 1
        can = can and timeout_s >= SHORTEST_WAIT_S
        return cls(session if can else None, min(timeout_s, LONGEST_WAIT_S))

    def use(self, action: Callable[[fmilib.Communicator], Found], otherwise: Found) -> Found:
        """What an action gives once all ranks have joined; `otherwise` before, and if it fails.

        Raises:
            InputError: the deployment has no secret.
        """
        try:
            comm = self._formed()
            return otherwise if comm is None else action(comm)
        except fmilib.FmiError as error:
            self.fail(f"{type(error).__name__}: {error}")
            return otherwise

    def fail(self, why: str) -> None:
        """Let the channel be dead from now on."""
        self.error = self.error or f"balance: {why}"

    def _formed(self) -> fmilib.Communicator | None:
        if self.error is not None or self._joining is None or not self._joining.done():
            return None
        comm = self._joining.result()
        return comm if comm.formed else None

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Leave."""
        self._pool.shutdown()
        if self._joining is not None and self._joining.exception() is None:
            self._joining.result().close()


def received(comm: fmilib.Communicator, tag: int) -> Iterator[tuple[int, Any]]:
    """What has come with a tag, and from which rank."""
    while (rank := comm.iprobe(tag=tag)) is not None:
        yield rank, comm.recv(rank, tag)
