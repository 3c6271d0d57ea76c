"""The channel of a job with one rank: a mailbox to itself, no sockets."""

from __future__ import annotations

from collections import deque

from fmilib.channels.base import Sending
from fmilib.links.link import Buffer, LinkQuiet
from fmilib.links.transfer import Arrived
from fmilib.wire.frames import Envelope


class Sent:
    """A message that was out as soon as it was begun."""

    def test(self) -> bool:
        """Return True."""
        return True

    def finish(self) -> None:
        """Do nothing."""


class LoopbackChannel:
    """Messages of rank 0 to itself; a receive with nothing there can't ever end."""

    rank = 0
    size = 1

    def __init__(self) -> None:
        self._mail: dict[tuple[int, int], deque[bytes]] = {}

    def send(self, peer: int, call: Envelope, parts: list[Buffer]) -> None:
        """Keep a copy; see `Channel`."""
        self._mail.setdefault(call.queue, deque()).append(b"".join(parts))

    def relay(self, peer: int, call: Envelope, part: memoryview, total: int) -> None:
        """Keep a copy; see `Channel`."""
        self.send(peer, call, [part])

    def receive(
        self,
        peer: int,
        call: Envelope,
        into: memoryview | None = None,
        arrived: Arrived | None = None,
    ) -> memoryview:
        """Return what was kept; see `Channel`."""
        queue = self._mail.get(call.queue)
        if not queue:
            raise LinkQuiet(peer, "never sent it")
        payload = memoryview(bytearray(queue.popleft()))
        if into is not None:
            into[:] = payload
        return payload if into is None else into

    def exchange(
        self,
        call: Envelope,
        to: int,
        outgoing: memoryview,
        source: int,
        incoming: memoryview | None = None,
        arrived: Arrived | None = None,
    ) -> memoryview:
        """Copy; see `Channel`."""
        self.send(to, call, [outgoing])
        return self.receive(source, call, incoming)

    def swap(
        self, to: int, outgoing: Envelope, parts: list[Buffer], source: int, incoming: Envelope,
        into: memoryview | None,
    ) -> memoryview:  # fmt: skip
        """Copy; see `Channel`."""
        self.send(to, outgoing, parts)
        return self.receive(source, incoming, into)

    def begin(self, peer: int, call: Envelope, parts: list[Buffer]) -> Sending:
        """Keep a copy; see `Channel`."""
        self.send(peer, call, parts)
        return Sent()

    def arrived(self, call: Envelope, peers: list[int] | None) -> int | None:
        """Return 0 if something was kept; see `Channel`."""
        return 0 if self._mail.get(call.queue) else None

    def drain(self) -> None:
        """Do nothing: what was sent was kept at once; see `Channel`."""
