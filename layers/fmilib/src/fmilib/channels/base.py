"""What collectives need of a channel."""

from __future__ import annotations

from typing import Protocol

from fmilib.flows import Arrived
from fmilib.frames import Call
from fmilib.link import Buffer


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

    def relay(
        self, peer: int, call: Call, part: memoryview, total: int, digest: bytes | None
    ) -> bytes:
        """Send one piece of a message of `total` bytes; return its digest for the next peer."""
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
