"""The receiving half of a link: proven headers, then their payloads."""

from __future__ import annotations

import os
import socket
import time
from collections import deque

from fmilib import keys
from fmilib.frames import HEADER_BYTES, Call, GarbledError, Head, Kind, queue_of, unpack
from fmilib.link_socket import DONTWAIT, WAITALL, words
from fmilib.link_trouble import LinkLost, LinkQuiet, PeerLeft, Poisoned
from fmilib.link_writer import MAX_POISON_BYTES
from fmilib.seals import Buffer, Seal
from fmilib.stats import Stats

SMALL_BYTES = 32 * 1024
# A peer on the same machine or network often answers within 50 µs, and waking a sleeping
# thread costs as much: 30 looks took a barrier of two ranks from 66 to 19 µs, and yielding
# between them leaves the processor to ranks that share it.
LOOKS = 30
_STAGE_BYTES = SMALL_BYTES + HEADER_BYTES


class Reader:
    """Receives frames; the data thread's.

    Args:
        sock: the link's socket.
        peer: the other rank.
        epoch: the forming of the job.
        key: what the peer signs its headers with.
        seal: what covers payloads.
        stats: where traffic and waiting are counted.
    """

    def __init__(
        self, sock: socket.socket, peer: int, epoch: int, key: bytes, seal: Seal, stats: Stats
    ) -> None:
        self._sock = sock
        self._peer = peer
        self._epoch = epoch
        self._key = key
        self._seal = seal
        self._stats = stats
        self._received = 0
        self._stage = memoryview(bytearray(_STAGE_BYTES))
        self._start = 0
        self._end = 0
        self._sound: Head | None = None
        self._aside: dict[tuple[int, int], deque[tuple[Head, bytes]]] = {}

    def next_head(self, call: Call, expected: int, flags: int) -> tuple[Head, bytes | None] | None:
        """Return the next frame that belongs to `call`'s queue; others are put aside.

        Args:
            call: what this rank is in.
            expected: payload bytes that are likely; read along with the header if few.
            flags: of the receive; MSG_DONTWAIT makes None the answer if nothing is there.

        Returns:
            The header and, if the frame had been put aside, its payload.

        Raises:
            LinkLost, LinkQuiet, PeerLeft, Poisoned.
        """
        queue = self._aside.get(call.queue) if self._aside else None
        if queue:
            self._sound = queue[0][0]
            return queue.popleft()
        want = HEADER_BYTES + (expected if expected <= SMALL_BYTES else 0)
        while self._fill(HEADER_BYTES, want, flags):
            head = self._read_head()
            if head.stamp == call.stamp or queue_of(head.stamp) == call.queue:
                return head, None
            self._put_aside(head)
        return None

    def read_body(self, into: memoryview, flags: int) -> int:
        """Receive payload bytes into `into`; return how many, 0 if none are there yet.

        Raises:
            LinkLost, LinkQuiet.
        """
        if self._start < self._end:
            count = min(len(into), self._end - self._start)
            into[:count] = self._stage[self._start : self._start + count]
            self._start += count
            return count
        return self._read(into, flags or WAITALL)

    def check(self, head: Head, body: Buffer) -> None:
        """Compare a payload with its header's digest.

        Raises:
            LinkLost: they differ.
        """
        self._stats.received_bytes += head.length
        self._stats.received_messages += 1
        if head is not self._sound:  # what was put aside was verified then, under its number
            self._verify(head, body)

    def _verify(self, head: Head, body: Buffer) -> None:
        if not head.length:
            return
        if not keys.same(self._seal.digest(self._received - 1, [body]), head.digest):
            raise LinkLost(self._peer, "a payload differs from its digest")

    def _read_head(self) -> Head:
        raw = self._stage[self._start : self._start + HEADER_BYTES]
        try:
            head = unpack(raw, epoch=self._epoch, counter=self._received, key=self._key)
        except GarbledError as error:
            raise LinkLost(self._peer, str(error)) from None
        self._start += HEADER_BYTES
        self._received += 1
        if head.kind != Kind.DATA:
            self._end_of_link(head)
        return head

    def _end_of_link(self, head: Head) -> None:
        if head.kind == Kind.BYE:
            raise PeerLeft(self._peer, "closed its communicator")
        if head.length > MAX_POISON_BYTES:
            raise LinkLost(self._peer, "an oversized poison frame")
        raise Poisoned(self._peer, self._body(head).decode(errors="replace"))

    def _put_aside(self, head: Head) -> None:
        body = self._body(head)
        self._aside.setdefault(queue_of(head.stamp), deque()).append((head, body))

    def _body(self, head: Head) -> bytes:
        body = bytearray(head.length)
        view = memoryview(body)
        while view:
            view = view[self.read_body(view, 0) :]
        self._verify(head, body)
        return bytes(body)

    def _fill(self, need: int, want: int, flags: int) -> bool:
        """Have at least `need` bytes staged, asking the kernel for up to `want`."""
        while self._end - self._start < need:
            if self._start == self._end:
                self._start = self._end = 0
            elif self._start + want > _STAGE_BYTES:
                self._compact()
            into = self._stage[self._end : self._start + want]
            got = (0 if flags else self._look(into)) or self._read(into, flags)
            if not got:
                return False
            self._end += got
        return True

    def _look(self, into: memoryview) -> int:
        """Look a few times without sleeping; 0 if nothing came."""
        began = time.perf_counter()
        try:
            for _ in range(LOOKS):
                try:
                    return self._sock.recv_into(into, 0, DONTWAIT)
                except OSError:  # nothing yet; anything worse is met again in a blocking read
                    os.sched_yield()
            return 0
        finally:
            self._stats.wait_s += time.perf_counter() - began

    def _compact(self) -> None:
        rest = bytes(self._stage[self._start : self._end])
        self._stage[: len(rest)] = rest
        self._start, self._end = 0, len(rest)

    def _read(self, into: memoryview, flags: int) -> int:
        began = time.perf_counter()
        try:
            count = self._sock.recv_into(into, 0, flags)
        except BlockingIOError:
            if flags & DONTWAIT:
                return 0
            raise LinkQuiet(self._peer, "sends no data") from None
        except OSError as error:
            raise LinkLost(self._peer, words(error)) from None
        finally:
            self._stats.wait_s += time.perf_counter() - began
        if not count:
            raise LinkLost(self._peer, "the connection was closed")
        return count
