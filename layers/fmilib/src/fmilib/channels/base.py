"""What collectives need of a channel."""

from __future__ import annotations

from typing import Protocol

from fmilib.links.link import Buffer
from fmilib.links.transfer import Arrived
from fmilib.wire.frames import Envelope


class Sending(Protocol):
    """A message that was begun."""

    def test(self) -> bool:
        """Move what moves without blocking; return whether all of it is out."""
        ...

    def finish(self) -> None:
        """Block until all of it is out."""
        ...


class Channel(Protocol):
    """Ordered messages between the ranks of one job.

    Every call blocks at most the channel's time-out and raises `LinkTrouble` if a peer is
    lost, and MismatchError if a peer is in another call.
    """

    rank: int
    size: int

    def send(self, peer: int, call: Envelope, parts: list[Buffer]) -> None:
        """Send one message; it may be copied away before the peer asks for it."""
        ...

    def relay(self, peer: int, call: Envelope, part: memoryview, total: int) -> None:
        """Send one piece of a message of `total` bytes."""
        ...

    def receive(
        self,
        peer: int,
        call: Envelope,
        into: memoryview | None = None,
        arrived: Arrived | None = None,
    ) -> memoryview:
        """Receive one message, into `into` or into room made for it; return its payload."""
        ...

    def exchange(
        self,
        call: Envelope,
        to: int,
        outgoing: memoryview,
        source: int,
        incoming: memoryview | None = None,
        arrived: Arrived | None = None,
    ) -> memoryview:
        """Send one message and receive another side by side; return the payload, as `receive`."""
        ...

    def swap(
        self, to: int, outgoing: Envelope, parts: list[Buffer], source: int, incoming: Envelope,
        into: memoryview | None,
    ) -> memoryview:  # fmt: skip
        """Send one message and receive another, of any length and call, side by side."""
        ...

    def begin(self, peer: int, call: Envelope, parts: list[Buffer]) -> Sending:
        """Begin to send one message; `parts` don't change until it is out."""
        ...

    def arrived(self, call: Envelope, peers: list[int] | None) -> int | None:
        """Return one of these ranks (of all, if None) whose message can be received; never waits.

        Returns:
            None if no such message of the call's queue is here.
        """
        ...

    def drain(self) -> None:
        """Block until all that was begun is out."""
        ...
