"""The channel of a job with one rank: a mailbox to itself, no sockets."""

from __future__ import annotations

from collections import deque

from fmilib.flows import Arrived
from fmilib.frames import NO_DIGEST, Call
from fmilib.link import Buffer, LinkQuiet


class Solo:
    """Messages of rank 0 to itself; a receive with nothing there can't ever end."""

    rank = 0
    size = 1

    def __init__(self) -> None:
        self._mail: dict[tuple[int, int], deque[bytes]] = {}

    def send(self, peer: int, call: Call, parts: list[Buffer]) -> None:
        """Keep a copy; see `Channel`."""
        self._mail.setdefault(call.queue, deque()).append(b"".join(parts))

    def relay(
        self, peer: int, call: Call, part: memoryview, total: int, digest: bytes | None
    ) -> bytes:
        """Keep a copy; see `Channel`."""
        self.send(peer, call, [part])
        return digest or NO_DIGEST

    def receive(
        self,
        peer: int,
        call: Call,
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
        call: Call,
        to: int,
        outgoing: memoryview,
        source: int,
        incoming: memoryview | None = None,
        arrived: Arrived | None = None,
    ) -> memoryview:
        """Copy; see `Channel`."""
        self.send(to, call, [outgoing])
        return self.receive(source, call, incoming)
