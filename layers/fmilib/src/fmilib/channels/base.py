"""What collectives need of a channel."""

from __future__ import annotations

from typing import Protocol

from fmilib.flows import Arrived
from fmilib.frames import Call
from fmilib.link import Buffer


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

    def send(self, peer: int, call: Call, parts: list[Buffer]) -> None:
        """Send one message; it may be copied away before the peer asks for it."""
        ...

    def relay(self, peer: int, call: Call, part: memoryview, total: int) -> None:
        """Send one piece of a message of `total` bytes."""
        ...

    def receive(
        self,
        peer: int,
        call: Call,
        into: memoryview | None = None,
        arrived: Arrived | None = None,
    ) -> memoryview:
        """Receive one message, into `into` or into room made for it; return its payload."""
        ...

    def exchange(
        self,
        call: Call,
        to: int,
        outgoing: memoryview,
        source: int,
        incoming: memoryview | None = None,
        arrived: Arrived | None = None,
    ) -> memoryview:
        """Send one message and receive another side by side; return the payload, as `receive`."""
        ...

    def swap(
        self, to: int, outgoing: Call, parts: list[Buffer], source: int, incoming: Call,
        into: memoryview | None,
    ) -> memoryview:  # fmt: skip
        """Send one message and receive another, of any length and call, side by side."""
        ...

    def begin(self, peer: int, call: Call, parts: list[Buffer]) -> Sending:
        """Begin to send one message; `parts` don't change until it is out."""
        ...

    def arrived(self, call: Call, peers: list[int] | None) -> int | None:
        """Return one of these ranks (of all, if None) whose message can be received; never waits.

        Returns:
            None if no such message of the call's queue is here.
        """
        ...

    def drain(self) -> None:
        """Block until all that was begun is out."""
        ...
