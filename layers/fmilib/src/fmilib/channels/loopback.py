"""A rank's mailbox to itself, no sockets: all that a job of one rank needs."""

from __future__ import annotations

from collections import deque

from fmilib.channels.base import Sending
from fmilib.errors import MismatchError
from fmilib.links.link import Buffer, LinkQuiet
from fmilib.links.transfer import Arrived
from fmilib.wire.frames import Envelope, describe


class Sent:
    """A message that was out as soon as it was begun."""

    def test(self) -> bool:
        """Return True."""
        return True

    def finish(self) -> None:
        """Do nothing."""


class LoopbackChannel:
    """Messages of a rank to itself, as rank 0 of one; a receive with nothing there can't ever end.

    Args:
        me: the rank, to name it in errors.
    """

    rank = 0
    size = 1

    def __init__(self, me: int = 0) -> None:
        self._me = me
        self._mail: dict[tuple[int, int], deque[tuple[bytes, bytes]]] = {}

    def send(self, peer: int, call: Envelope, parts: list[Buffer]) -> None:
        """Keep a copy; see `Channel`."""
        self._mail.setdefault(call.queue, deque()).append((call.stamp, b"".join(parts)))

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
            raise LinkQuiet(self._me, "never sent it")
        stamp, payload = queue.popleft()
        if not queue:  # tags that are used once leave nothing behind
            del self._mail[call.queue]
        self._check(call, stamp, payload, into)
        if into is None:
            return memoryview(bytearray(payload))
        if payload:  # room for nothing may be read-only
            into[:] = payload
        return into

    def _check(self, call: Envelope, stamp: bytes, payload: bytes, into: memoryview | None) -> None:
        if stamp != call.stamp:
            raise MismatchError(
                f"rank {self._me} sent itself {describe(stamp)}, it receives {describe(call.stamp)}"
            )
        if into is not None and len(into) != len(payload):
            raise MismatchError(
                f"rank {self._me} sent itself {len(payload)} bytes in {describe(stamp)}, "
                f"it expects {len(into)}"
            )

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
