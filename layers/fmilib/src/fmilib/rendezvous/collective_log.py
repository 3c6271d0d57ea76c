"""Finds ranks that are in different calls, from what their signs of life say.

Two ranks in different calls usually find out on the first frame between them. But each may
wait for a frame that the other will never send; then only somebody who hears both can tell.
One may even have left its call for the next, if it had only to send in it: so ranks say the
last few.
"""

from __future__ import annotations

from fmilib.wire import frames
from fmilib.wire.control_frames import REMEMBERED
from fmilib.wire.failure import FailureReport

MAX_CALLS = 32


class CollectiveLog:
    """The last few collectives of one job, each as the first rank that reached it called it."""

    def __init__(self) -> None:
        self._first: dict[int, tuple[bytes, int]] = {}

    def says(self, rank: int, said: object) -> FailureReport | None:
        """Take in a rank's last calls, in hexadecimal; return a failure if another's differs."""
        calls = said[-REMEMBERED:] if isinstance(said, list) else []
        verdicts = (self._says(rank, stamp) for stamp in map(_stamp, calls) if stamp)
        return next(filter(None, verdicts), None)

    def _says(self, rank: int, stamp: bytes) -> FailureReport | None:
        number = frames.collective_number(stamp)
        if number is None:
            return None
        theirs, other = self._first.setdefault(number, (stamp, rank))
        if theirs != stamp:
            return FailureReport(
                "mismatch",
                rank,
                f"rank {other} called {frames.describe(theirs)}, "
                f"rank {rank} called {frames.describe(stamp)}",
            )
        while len(self._first) > MAX_CALLS:
            del self._first[next(iter(self._first))]
        return None


def _stamp(said: object) -> bytes | None:
    if not isinstance(said, str) or len(said) != 2 * frames.STAMP_BYTES:
        return None
    try:
        return bytes.fromhex(said)
    except ValueError:
        return None
