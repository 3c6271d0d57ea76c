"""A channel over a store: messages are kept there until their reader takes them."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

import numpy as np

from fmilib.channels.base import BufferedChannel
from fmilib.channels.store import crypto
from fmilib.channels.store.base import Alarmed, PeerGone, Store
from fmilib.channels.store.bootstrap import Membership
from fmilib.channels.store.crypto import AuthenticatedStream
from fmilib.channels.store.lease import Lease
from fmilib.config import Settings
from fmilib.errors import Aborted, FmiError, MismatchError, StaleGeneration
from fmilib.links import transfer
from fmilib.links.transfer import Arrived
from fmilib.links.trouble import LinkLost, LinkQuiet
from fmilib.links.writer import Buffer
from fmilib.stats import Stats
from fmilib.wire.failure import read
from fmilib.wire.frames import Envelope, GarbledError, Head, describe

Result = TypeVar("Result")


class StoreChannel(BufferedChannel):
    """Messages by way of a store; see `Channel`.

    Args:
        settings: this rank's.
        member: its place in the epoch.
        store: where messages are kept.
        stats: where traffic and waiting are counted.
        lease: told whom this rank waits for.
    """

    def __init__(
        self, settings: Settings, member: Membership, store: Store, stats: Stats, lease: Lease
    ) -> None:
        super().__init__(settings.rank, settings.size)
        self._settings = settings
        self._member = member
        self._store = store
        self._stats = stats
        self._lease = lease
        self._streams: dict[tuple[int, int, tuple[int, int]], AuthenticatedStream] = {}
        self._pieces: dict[int, bytearray] = {}
        self._relayed: dict[int, int] = {}

    def send(self, peer: int, call: Envelope, parts: list[Buffer]) -> None:
        """Send one message; see `Channel`."""
        total = sum(map(len, parts))
        for group in transfer.segments(parts, self._store.segment_bytes):
            self._post(peer, call, b"".join(group), total)

    def relay(self, peer: int, call: Envelope, part: memoryview, total: int) -> None:
        """Send one piece of a message; small pieces travel together; see `Channel`."""
        pieces = self._pieces.setdefault(peer, bytearray())
        pieces += part
        done = self._relayed.get(peer, 0) + len(pieces) == total
        if done or len(pieces) >= self._store.segment_bytes:
            self._post(peer, call, bytes(pieces), total)
            self._relayed[peer] = 0 if done else self._relayed.get(peer, 0) + len(pieces)
            del self._pieces[peer]

    def receive(
        self,
        peer: int,
        call: Envelope,
        into: memoryview | None = None,
        arrived: Arrived | None = None,
    ) -> memoryview:
        """Receive one message; see `Channel`."""
        offset, done = 0, False
        while not done:
            head, body = self._take(peer, call)
            into = self._room(peer, call, head, into, offset)
            piece = into[offset : offset + head.length]
            if body:
                piece[:] = body
            if arrived is not None:
                arrived(offset, piece, head)
            offset += head.length
            done = offset == head.total
        return into if into is not None else memoryview(b"")

    def arrived(self, call: Envelope, peers: list[int] | None) -> int | None:
        """Return a rank whose next message the store has begun to keep; see `Channel`."""
        self._patience_s()
        others = peers if peers is not None else range(self.size)
        sources = [source for source in others if source != self.rank]
        streams = [self._stream(source, self.rank, call) for source in sources]
        if not streams:
            return None
        names = [(stream.name, stream.number) for stream in streams]
        place = self._watched(lambda: self._store.waiting(names))
        return None if place is None else sources[place]

    # -- inside ----------------------------------------------------------------

    def _stream(self, source: int, dest: int, call: Envelope) -> AuthenticatedStream:
        found = self._streams.get((source, dest, call.queue))
        if found is None:
            member, settings = self._member, self._settings
            found = AuthenticatedStream(
                settings.secret, member.epoch, source, dest, call.queue,
                cover=member.cover, encrypt=settings.encrypt,
            )  # fmt: skip
            self._streams[source, dest, call.queue] = found
        return found

    def _post(self, peer: int, call: Envelope, body: bytes, total: int) -> None:
        stream = self._stream(self.rank, peer, call)
        number = stream.number
        item = stream.pack(call, body, total)
        self._watched(lambda: self._store.post(stream.name, number, peer, item))
        self._stats.sent_bytes += len(body)
        self._stats.sent_messages += 1

    def _take(self, peer: int, call: Envelope) -> tuple[Head, memoryview]:
        stream = self._stream(peer, self.rank, call)
        wait_s = self._patience_s()
        self._lease.watched = peer
        try:
            item = self._watched(lambda: self._store.take(stream.name, stream.number, peer, wait_s))
        except PeerGone as gone:
            raise LinkLost(peer, str(gone)) from None
        finally:
            self._lease.watched = None
        if item is None:
            self._patience_s()
            raise LinkQuiet(peer, "sends no data")
        try:
            head, body = stream.unpack(item)
        except GarbledError as error:
            raise LinkLost(peer, str(error)) from None
        self._stats.received_bytes += head.length
        self._stats.received_messages += 1
        return head, body

    def _patience_s(self) -> float:
        """Return how long to wait at most.

        Raises:
            Aborted: the deadline is reached.
        """
        if self._settings.deadline is None:
            return self._settings.timeout_s
        left_s = self._settings.deadline - time.monotonic()
        if left_s <= 0:
            raise Aborted(self.rank, "its deadline is reached")
        return min(left_s, self._settings.timeout_s)

    def _room(
        self, peer: int, call: Envelope, head: Head, into: memoryview | None, offset: int
    ) -> memoryview:
        if head.stamp != call.stamp:
            raise MismatchError(
                f"rank {peer} called {describe(head.stamp)}, "
                f"rank {self.rank} called {describe(call.stamp)}"
            )
        if into is None:
            into = np.empty(head.total, np.uint8).data
        if head.total != len(into) or offset + head.length > head.total:
            raise MismatchError(
                f"rank {peer} sends {head.total} bytes in {describe(head.stamp)}, "
                f"rank {self.rank} expects {len(into)}"
            )
        return into

    def _watched(self, action: Callable[[], Result]) -> Result:
        began = time.perf_counter()
        try:
            return action()
        except Alarmed as alarm:
            raise meaning_of_alarm(alarm.item, self._settings) from None
        finally:
            self._stats.wait_s += time.perf_counter() - began


def meaning_of_alarm(item: bytes, settings: Settings) -> FmiError:
    """Return the error that a rung alarm means for this rank."""
    record = crypto.unseal(settings.secret, "alarm", item)
    found = read(record)
    if record is None or found is None:
        return Aborted(settings.rank, "an alarm that nobody of this job can have rung")
    newer = record.get("newer")
    if found.rank == settings.rank and type(newer) is int:
        return StaleGeneration(settings.generation, newer)
    return found.error()
