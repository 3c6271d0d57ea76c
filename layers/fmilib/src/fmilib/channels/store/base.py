"""What the stored channels (redis, s3, local) need of the place that keeps their messages.

Names are relative to one job: a store puts its own prefix, that no other job can make, in
front of them. What is kept is sealed by `sealing`; a store neither reads nor trusts it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Protocol

from fmilib.wire import keys

KEEP_S = 3600
MEMORY_S = 60.0  # how long a newer attempt of a rank keeps an older one away
LEAD = "lead"  # the record by which the ranks of a job find each other
NAMESPACE_BYTES = 16


class Alarmed(Exception):  # noqa: N818 - a signal between modules, never shown to users
    """Somebody rang the epoch's alarm; `item` is what was rung, still sealed."""

    def __init__(self, item: bytes) -> None:
        super().__init__(item)
        self.item = item


class PeerGone(Exception):  # noqa: N818 - a signal between modules, never shown to users
    """The store knows that the rank which a wait is for can't send any more."""


class Store(Protocol):
    """A place that all ranks of one job reach.

    Every call is bounded in time and raises RendezvousError if the place can't be used.
    """

    segment_bytes: int

    def read(self, name: str) -> bytes | None:
        """Return a record, None if there is none."""
        ...

    def swap(self, name: str, old: bytes | None, new: bytes) -> bool:
        """Set a record if it still is what `read` returned; return whether it was."""
        ...

    def keep(self, name: str, item: bytes) -> None:
        """Set a record whatever it was; any thread may."""
        ...

    def drop(self, inbox: str, name: str, item: bytes) -> None:
        """Put an item where one reader collects those of many writers."""
        ...

    def collect(self, inbox: str, wait_s: float) -> list[bytes]:
        """Take what is in an inbox, waiting for the first item; empty if none came."""
        ...

    def announce(self, bell: str, count: int) -> None:
        """Wake up to `count` ranks that listen to a bell."""
        ...

    def listen(self, bell: str, wait_s: float) -> None:
        """Wait for a bell, or until it is time to look for oneself."""
        ...

    def enter(self, epoch: str, rank: int, witnesses: list[str]) -> None:
        """Say which epoch this rank is in from now on, and what witnesses each rank's life."""
        ...

    def witness(self) -> str:
        """Return what others may use to see that this process lives; empty if nothing."""
        ...

    def post(self, stream: str, number: int, dest: int, item: bytes) -> None:
        """Keep a message for `dest`.

        Raises:
            Alarmed: the alarm is known to have been rung.
        """
        ...

    def take(self, stream: str, number: int, source: int, wait_s: float) -> bytes | None:
        """Return and remove the message of that number in a lane; None if none came in time.

        Raises:
            Alarmed: the alarm was rung.
            PeerGone: `source` can't send it any more.
        """
        ...

    def waiting(self, streams: Sequence[tuple[str, int]]) -> int | None:
        """Return the place of the first (lane, number) whose message is there; never waits.

        Raises:
            Alarmed: the alarm was rung.
        """
        ...

    def ring(self, epoch: str, size: int, item: bytes) -> None:
        """Ring an epoch's alarm for all of its ranks; the first item counts."""
        ...

    def close(self) -> None:
        """Let go of it, and of what this rank has read."""
        ...


def namespace(job: str, secret: bytes) -> str:
    """Return a name for the job that only holders of its secret can make."""
    proof = keys.prove(secret, b"namespace", job.encode())
    return hashlib.sha256(proof).hexdigest()[: 2 * NAMESPACE_BYTES]
