"""A rank's mailbox to itself, no sockets: all that a job of one rank needs."""

from __future__ import annotations

from collections import deque

from fmilib.channels.base import BufferedChannel
from fmilib.errors import MismatchError
from fmilib.links.link import Buffer, LinkQuiet
from fmilib.links.transfer import Arrived
from fmilib.wire.frames import Envelope, describe


class LoopbackChannel(BufferedChannel):
    """Messages of a rank to itself, as rank 0 of one; a receive with nothing there can't ever end.

    Args:
        me: the rank, to name it in errors.
    """

    def __init__(self, me: int = 0) -> None:
        super().__init__(0, 1)
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

    def arrived(self, call: Envelope, peers: list[int] | None) -> int | None:
        """Return 0 if something was kept; see `Channel`."""
        return 0 if self._mail.get(call.queue) else None
