"""The receiving half of a link: proven headers, then their payloads."""

from __future__ import annotations

import os
import select
import socket
import time
from collections.abc import Callable

from fmilib.links.socket_options import DONTWAIT, WAITALL, words
from fmilib.links.trouble import LinkLost, LinkTrouble, PeerLeft, Poisoned
from fmilib.links.unexpected import Queue, UnexpectedQueue
from fmilib.links.writer import MAX_POISON_BYTES
from fmilib.stats import Stats
from fmilib.wire import keys
from fmilib.wire.frames import (
    HEADER_BYTES,
    NO_DIGEST,
    Envelope,
    GarbledError,
    Head,
    Kind,
    pack,
    queue_of,
    signer,
    unpack,
)
from fmilib.wire.payload_auth import Buffer, PayloadAuth

SMALL_BYTES = 32 * 1024
# A peer on the same machine or network often answers within 50 µs, and waking a sleeping
# thread costs as much: 30 looks took a barrier of two ranks from 66 to 19 µs, and yielding
# between them leaves the processor to ranks that share it.
LOOKS = 30
FRAMES_A_PUMP = 16
_DATA = int(Kind.DATA)
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
        stalled: called when a blocking read met nothing for a while; returns to try again.

    Attributes:
        left: whether the peer said that it sends nothing more.
    """

    def __init__(
        self,
        sock: socket.socket,
        peer: int,
        epoch: int,
        key: bytes,
        seal: PayloadAuth,
        stats: Stats,
        stalled: Callable[[], None],
    ) -> None:
        self._sock = sock
        self._peer = peer
        self._epoch = epoch
        self._signer = signer(key)
        self._seal = seal
        self._stats = stats
        self._stalled = stalled
        poll = select.poll()
        poll.register(sock, select.POLLIN)
        self._poll = poll.poll  # says that nothing is there without the cost of an exception
        self.left = False
        self._received = 0
        self._stage = memoryview(bytearray(_STAGE_BYTES))
        self._start = 0
        self._end = 0
        self._sound: Head | None = None
        self._unexpected = UnexpectedQueue()

    def take(self, call: Envelope, into: memoryview) -> bool:
        """Receive a whole message of few bytes in one read, if it is the very next frame.

        What `call` and `into` make expected fixes every byte of the header, so it is made here
        too and compared, which is quicker than taking the one that came apart.

        Args:
            call: what this rank is in.
            into: room for just the payload, at most `SMALL_BYTES`.

        Returns:
            Whether `into` is filled. If not, what came is kept for `next_head`.

        Raises:
            LinkLost, LinkQuiet.
        """
        length = len(into)
        want = HEADER_BYTES + length
        if self._start != self._end or self._unexpected or self._seal.hides:
            return False
        self._start = 0
        self._end = self._look(self._stage, want) or self._read(self._stage[:want], 0)
        if self._end != want:
            return False
        body = self._stage[HEADER_BYTES:want]
        digest = self._seal.digest(self._received, [body]) if length else NO_DIGEST
        head = pack(
            _DATA, call.stamp, length, length, digest,
            epoch=self._epoch, counter=self._received, signer=self._signer,
        )  # fmt: skip
        if not keys.same(head, self._stage[:HEADER_BYTES]):
            return False
        if length:
            into[:] = body
        self._end = 0
        self._received += 1
        self._stats.received_bytes += length
        self._stats.received_messages += 1
        return True

    def next_head(
        self, call: Envelope, expected: int, flags: int
    ) -> tuple[Head, bytearray | None] | None:
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
        if self._unexpected and (kept := self._from_unexpected(call, flags)):
            return kept
        if self._unexpected.half is not None:
            return None
        want = HEADER_BYTES + (expected if expected <= SMALL_BYTES else 0)
        while self._fill(HEADER_BYTES, want, flags):
            head = self._read_head()
            if head.stamp == call.stamp or queue_of(head.stamp) == call.queue:
                return head, None
            self._unexpected.half = head, bytearray(head.length), 0
            if not self._finish_half(flags):
                return None
        return None

    def pump(self) -> None:
        """Put aside what is there, a bounded number of frames; never blocks.

        Raises:
            LinkLost, Poisoned.
        """
        for _ in range(FRAMES_A_PUMP):
            if self.left or not self._finish_half(DONTWAIT):
                return
            if not self._fill(HEADER_BYTES, HEADER_BYTES, DONTWAIT):
                return
            try:
                head = self._read_head()
            except PeerLeft:
                return
            self._unexpected.half = head, bytearray(head.length), 0

    def has_message(self, queue: Queue) -> bool:
        """Return whether the first message of a queue was put aside with all its frames."""
        return bool(self._unexpected) and self._unexpected.has_message(queue)

    @property
    def staged(self) -> bool:
        """Whether bytes were read that belong to no frame yet; the socket may have no more."""
        return self._start != self._end

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
        if not self._seal.unwrap(self._received - 1, body, head.digest):
            raise LinkLost(self._peer, "a payload differs from its digest")

    def _read_head(self) -> Head:
        raw = self._stage[self._start : self._start + HEADER_BYTES]
        try:
            head = unpack(raw, epoch=self._epoch, counter=self._received, signer=self._signer)
        except GarbledError as error:
            raise LinkLost(self._peer, str(error)) from None
        self._start += HEADER_BYTES
        self._received += 1
        if head.kind != Kind.DATA:
            self._end_of_link(head)
        return head

    def _end_of_link(self, head: Head) -> None:
        if head.kind == Kind.BYE:
            self.left = True
            raise PeerLeft(self._peer, "closed its communicator")
        if head.length > MAX_POISON_BYTES:
            raise LinkLost(self._peer, "an oversized poison frame")
        raise Poisoned(self._peer, self._body(head).decode(errors="replace"))

    def _from_unexpected(self, call: Envelope, flags: int) -> tuple[Head, bytearray] | None:
        kept = self._unexpected.next(call.queue)
        if kept is None and self._finish_half(flags):
            kept = self._unexpected.next(call.queue)
        if kept is not None:
            self._sound = kept[0]
        return kept

    def _finish_half(self, flags: int) -> bool:
        """Take in the rest of a frame that is put aside; return whether none is left undone."""
        if self._unexpected.half is None:
            return True
        head, body, filled = self._unexpected.half
        while filled < head.length:
            got = self.read_body(memoryview(body)[filled:], flags)
            if not got:
                return False
            filled += got
            self._unexpected.half = head, body, filled
        self._verify(head, body)
        self._unexpected.half = None
        self._unexpected.keep(head, body)
        return True

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
            got = (0 if flags else self._look(into, len(into))) or self._read(into, flags)
            if not got:
                return False
            self._end += got
        return True

    def _look(self, into: memoryview, most: int) -> int:
        """Look a few times without sleeping; 0 if nothing came."""
        if not self._poll(0) and not self._look_again():
            return 0
        try:
            return self._sock.recv_into(into, most, DONTWAIT)
        except OSError:  # met again in a blocking read
            return 0

    def _look_again(self) -> bool:
        began = time.perf_counter()
        for _ in range(LOOKS):
            os.sched_yield()
            if self._poll(0):
                break
        else:
            return False
        self._stats.wait_s += time.perf_counter() - began
        return True

    def _compact(self) -> None:
        rest = bytes(self._stage[self._start : self._end])
        self._stage[: len(rest)] = rest
        self._start, self._end = 0, len(rest)

    def _read(self, into: memoryview, flags: int) -> int:
        while (count := self._receive(into, flags)) is None:
            if flags & DONTWAIT:
                return 0
            self._stalled()
        if not count:
            raise self._gone("the connection was closed")
        return count

    def _receive(self, into: memoryview, flags: int) -> int | None:
        """Read once; None if nothing came."""
        began = time.perf_counter()
        try:
            return self._sock.recv_into(into, 0, flags)
        except BlockingIOError:
            return None
        except OSError as error:
            raise self._gone(words(error)) from None
        finally:
            self._stats.wait_s += time.perf_counter() - began

    def _gone(self, cause: str) -> LinkTrouble:
        if self.left:
            return PeerLeft(self._peer, "closed its communicator")
        return LinkLost(self._peer, cause)
