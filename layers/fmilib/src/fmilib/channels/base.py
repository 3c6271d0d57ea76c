"""What collectives need of a channel."""

from __future__ import annotations

from abc import ABC, abstractmethod
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


class Sent:
    """A message that was out as soon as it was begun."""

    def test(self) -> bool:
        """Return True."""
        return True

    def finish(self) -> None:
        """Do nothing."""


class Channel(ABC):
    """Ordered messages between the ranks of one job.

    Every call blocks at most the channel's time-out and raises `LinkTrouble` if a peer is
    lost, and MismatchError if a peer is in another call.

    Args:
        rank: this one.
        size: ranks of the job.
    """

    def __init__(self, rank: int, size: int) -> None:
        self.rank = rank
        self.size = size

    @abstractmethod
    def send(self, peer: int, call: Envelope, parts: list[Buffer]) -> None:
        """Send one message; it may be copied away before the peer asks for it."""

    @abstractmethod
    def relay(self, peer: int, call: Envelope, part: memoryview, total: int) -> None:
        """Send one piece of a message of `total` bytes."""

    @abstractmethod
    def receive(
        self,
        peer: int,
        call: Envelope,
        into: memoryview | None = None,
        arrived: Arrived | None = None,
    ) -> memoryview:
        """Receive one message, into `into` or into room made for it; return its payload."""

    @abstractmethod
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

    @abstractmethod
    def swap(
        self, to: int, outgoing: Envelope, parts: list[Buffer], source: int, incoming: Envelope,
        into: memoryview | None,
    ) -> memoryview:  # fmt: skip
        """Send one message and receive another, of any length and call, side by side."""

    @abstractmethod
    def begin(self, peer: int, call: Envelope, parts: list[Buffer]) -> Sending:
        """Begin to send one message; `parts` don't change until it is out."""

    @abstractmethod
    def arrived(self, call: Envelope, peers: list[int] | None) -> int | None:
        """Return one of these ranks (of all, if None) whose message can be received; never waits.

        Returns:
            None if no such message of the call's queue is here.
        """

    @abstractmethod
    def drain(self) -> None:
        """Block until all that was begun is out."""


class BufferedChannel(Channel):
    """A channel that takes every message at once, however long: nothing is ever under way."""

    def exchange(
        self,
        call: Envelope,
        to: int,
        outgoing: memoryview,
        source: int,
        incoming: memoryview | None = None,
        arrived: Arrived | None = None,
    ) -> memoryview:
        """Send, then receive."""
        self.send(to, call, [outgoing])
        return self.receive(source, call, incoming, arrived)

    def swap(
        self, to: int, outgoing: Envelope, parts: list[Buffer], source: int, incoming: Envelope,
        into: memoryview | None,
    ) -> memoryview:  # fmt: skip
        """Send, then receive."""
        self.send(to, outgoing, parts)
        return self.receive(source, incoming, into)

    def begin(self, peer: int, call: Envelope, parts: list[Buffer]) -> Sending:
        """Send."""
        self.send(peer, call, parts)
        return Sent()

    def drain(self) -> None:
        """Do nothing."""
