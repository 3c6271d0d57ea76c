"""A link: one authenticated socket to one rank, that sends and receives frames.

The data thread owns it. Another thread may only call `poison` and `shut`, which wake a
data thread that is blocked in it.
"""

from __future__ import annotations

import fcntl
import socket
import struct
import termios
import threading
import time
from collections import deque
from dataclasses import dataclass

from fmilib.frames import (
    HEADER_BYTES,
    NO_DIGEST,
    Call,
    GarbledError,
    Head,
    Kind,
    digest_of,
    pack,
    queue_of,
    unpack,
)
from fmilib.stats import Stats

SMALL_BYTES = 32 * 1024
MAX_POISON_BYTES = 4096
_STAGE_BYTES = SMALL_BYTES + HEADER_BYTES
_TCP_INFO_BYTES, _TCP_INFO_UNACKED, _TCP_INFO_LAST_ACK = 104, 24, 56
_TCP_CLOSED = 7
_TIMEVAL = struct.Struct("@ll")
_NO_STAMP = bytes(32)
Buffer = bytes | bytearray | memoryview


class LinkTrouble(Exception):  # noqa: N818 - a signal between modules, never shown to users
    """Something ended a link; the communicator decides what that means for the job."""

    def __init__(self, peer: int, cause: str) -> None:
        super().__init__(peer, cause)
        self.peer = peer
        self.cause = cause


class LinkLost(LinkTrouble):
    """The connection broke, or what came out of it is no frame."""


class LinkQuiet(LinkTrouble):
    """Nothing moved for the link's whole time-out."""


class PeerLeft(LinkTrouble):
    """The peer closed its communicator in good order."""


class Poisoned(LinkTrouble):
    """The peer passes on that the job failed; `cause` is the verdict's JSON."""


@dataclass(frozen=True, slots=True)
class LinkKeys:
    """The two keys of a link, one a direction."""

    send: bytes
    receive: bytes


class Link:
    """Frames to and from one peer.

    Args:
        sock: a connected socket whose handshake is done.
        peer: the other rank.
        epoch: the forming of the job that both sides proved.
        keys: what each side signs its headers with.
        full: whether payloads are covered by a digest.
        timeout_s: the kernel's bound of every send and receive.
        detect_s: bound within which a silent loss of an idle link is noticed.
        stats: where traffic and waiting are counted.
    """

    def __init__(
        self,
        sock: socket.socket,
        peer: int,
        epoch: int,
        keys: LinkKeys,
        *,
        full: bool,
        timeout_s: float,
        detect_s: float,
        stats: Stats,
    ) -> None:
        self.peer = peer
        self._sock = sock
        self._epoch = epoch
        self._keys = keys
        self._full = full
        self._stats = stats
        self._sending = threading.Lock()
        self._cut = False
        self._sent = 0
        self._received = 0
        self._stage = memoryview(bytearray(_STAGE_BYTES))
        self._start = 0
        self._end = 0
        self._aside: dict[tuple[int, int], deque[tuple[Head, bytes]]] = {}
        _tune(sock, timeout_s, detect_s)

    def fileno(self) -> int:
        """Return the descriptor, to poll it."""
        return self._sock.fileno()

    def waited(self, seconds: float) -> None:
        """Count time that was spent waiting for this link elsewhere."""
        self._stats.wait_s += seconds

    # -- sending ---------------------------------------------------------------

    def send(
        self, call: Call, parts: list[Buffer], total: int, digest: bytes | None = None
    ) -> bytes:
        """Send one frame, return its digest when the kernel has all of it.

        Args:
            call: what it belongs to.
            parts: its payload.
            total: bytes of the whole message.
            digest: of the payload, if it is known already.

        Raises:
            LinkLost, LinkQuiet.
        """
        if digest is None:
            digest = self.digest(parts)
        pending = self.open_frame(call, parts, total, digest)
        while pending:
            self.push(pending, 0)
        return digest

    def digest(self, parts: list[Buffer]) -> bytes:
        """Return what this link puts in a header for a payload."""
        return digest_of(*parts) if self._full else NO_DIGEST

    def open_frame(
        self, call: Call, parts: list[Buffer], total: int, digest: bytes
    ) -> list[Buffer]:
        """Begin a frame and return what must be pushed; nothing else is sent until it is out."""
        self._sending.acquire()
        self._cut = True
        length = sum(map(len, parts))
        self._stats.sent_bytes += length
        self._stats.sent_messages += 1
        return [self._header(Kind.DATA, call.stamp, length, total, digest), *parts]

    def push(self, pending: list[Buffer], flags: int) -> bool:
        """Send what the kernel takes of a frame; drop it from `pending`.

        Returns:
            Whether anything moved (always, if `flags` lets it block).

        Raises:
            LinkLost, LinkQuiet.
        """
        sent = self._write(pending, flags)
        if not sent:
            return False
        while pending and sent >= len(pending[0]):
            sent -= len(pending.pop(0))
        if pending:
            pending[0] = memoryview(pending[0])[sent:]
        else:
            self._cut = False
            self._sent += 1
            self._sending.release()
        return True

    def _header(self, kind: int, stamp: bytes, length: int, total: int, digest: bytes) -> bytes:
        return pack(
            kind, stamp, length, total, digest,
            epoch=self._epoch, counter=self._sent, key=self._keys.send,
        )  # fmt: skip

    def _write(self, pending: list[Buffer], flags: int) -> int:
        began = time.perf_counter()
        try:
            return self._sock.sendmsg(pending, (), flags | socket.MSG_NOSIGNAL)
        except BlockingIOError:
            if flags & socket.MSG_DONTWAIT:
                return 0
            raise LinkQuiet(self.peer, "takes no data") from None
        except OSError as error:
            raise LinkLost(self.peer, _words(error)) from None
        finally:
            self._stats.wait_s += time.perf_counter() - began

    # -- receiving -------------------------------------------------------------

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
        return self._read(into, flags or socket.MSG_WAITALL)

    def check(self, head: Head, body: Buffer) -> None:
        """Compare a payload with its header's digest.

        Raises:
            LinkLost: they differ.
        """
        self._stats.received_bytes += head.length
        self._stats.received_messages += 1
        if self._full and head.length and digest_of(body) != head.digest:
            raise LinkLost(self.peer, "a payload differs from its digest")

    def _read_head(self) -> Head:
        raw = self._stage[self._start : self._start + HEADER_BYTES]
        try:
            head = unpack(raw, epoch=self._epoch, counter=self._received, key=self._keys.receive)
        except GarbledError as error:
            raise LinkLost(self.peer, str(error)) from None
        self._start += HEADER_BYTES
        self._received += 1
        if head.kind != Kind.DATA:
            self._end_of_link(head)
        return head

    def _end_of_link(self, head: Head) -> None:
        if head.kind == Kind.BYE:
            raise PeerLeft(self.peer, "closed its communicator")
        if head.length > MAX_POISON_BYTES:
            raise LinkLost(self.peer, "an oversized poison frame")
        raise Poisoned(self.peer, self._body(head).decode(errors="replace"))

    def _put_aside(self, head: Head) -> None:
        body = self._body(head)
        self._aside.setdefault(queue_of(head.stamp), deque()).append((head, body))

    def _body(self, head: Head) -> bytes:
        body = bytearray(head.length)
        view = memoryview(body)
        while view:
            view = view[self.read_body(view, 0) :]
        if self._full and head.length and digest_of(body) != head.digest:
            raise LinkLost(self.peer, "a payload differs from its digest")
        return bytes(body)

    def _fill(self, need: int, want: int, flags: int) -> bool:
        """Have at least `need` bytes staged, asking the kernel for up to `want`."""
        while self._end - self._start < need:
            if self._start == self._end:
                self._start = self._end = 0
            elif self._start + want > _STAGE_BYTES:
                self._compact()
            got = self._read(self._stage[self._end : self._start + want], flags)
            if not got:
                return False
            self._end += got
        return True

    def _compact(self) -> None:
        rest = bytes(self._stage[self._start : self._end])
        self._stage[: len(rest)] = rest
        self._start, self._end = 0, len(rest)

    def _read(self, into: memoryview, flags: int) -> int:
        began = time.perf_counter()
        try:
            count = self._sock.recv_into(into, 0, flags)
        except BlockingIOError:
            if flags & socket.MSG_DONTWAIT:
                return 0
            raise LinkQuiet(self.peer, "sends no data") from None
        except OSError as error:
            raise LinkLost(self.peer, _words(error)) from None
        finally:
            self._stats.wait_s += time.perf_counter() - began
        if not count:
            raise LinkLost(self.peer, "the connection was closed")
        return count

    # -- ending ----------------------------------------------------------------

    def bye(self) -> None:
        """Say that nothing more will be sent; errors don't matter any more."""
        self._last_frame(Kind.BYE, b"")

    def poison(self, verdict: bytes) -> None:
        """Pass on that the job failed, if the stream is between two frames; then shut."""
        self._last_frame(Kind.POISON, verdict[:MAX_POISON_BYTES])
        self.shut()

    def _last_frame(self, kind: Kind, body: bytes) -> None:
        if not self._sending.acquire(blocking=False):
            return
        if self._cut:
            self._sending.release()
            return
        self._cut = True
        raw = self._header(kind, _NO_STAMP, len(body), len(body), digest_of(body)) + body
        try:
            self._sock.send(raw, socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)
            self._sock.shutdown(socket.SHUT_WR)
        except OSError:
            return
        finally:
            self._sending.release()

    def unsent(self) -> int:
        """Return the bytes that the peer's kernel hasn't acknowledged; 0 once the link is dead."""
        if self._sock.fileno() < 0 or self._info()[0] == _TCP_CLOSED:
            return 0
        raw = fcntl.ioctl(self._sock.fileno(), termios.TIOCOUTQ, bytes(4))
        count: int = struct.unpack("@i", raw)[0]
        return count

    def silent_ms(self) -> int:
        """Return for how long data has been on the way without any acknowledgement."""
        if self._sock.fileno() < 0:
            return 0
        info = self._info()
        (unacknowledged,) = struct.unpack_from("@I", info, _TCP_INFO_UNACKED)
        (last_ack_ms,) = struct.unpack_from("@I", info, _TCP_INFO_LAST_ACK)
        return int(last_ack_ms) if unacknowledged else 0

    def _info(self) -> bytes:
        return self._sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO_BYTES)

    def shut(self) -> None:
        """End both directions at once and wake whoever is blocked in the link."""
        try:
            self._sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            return

    def close(self) -> None:
        """Give the descriptor back."""
        self._sock.close()


def _tune(sock: socket.socket, timeout_s: float, detect_s: float) -> None:
    """Set what a link's socket needs: no Nagle, kernel time-outs, detection of silent loss.

    TCP_USER_TIMEOUT also ends a connection whose peer is alive but doesn't read, so it may
    not be shorter than the time-out; keepalive and `silent_ms` are what notice a cut sooner.
    """
    sock.setblocking(True)
    bound = _TIMEVAL.pack(int(timeout_s), int(timeout_s % 1 * 1e6) or 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, bound)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, bound)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    probe_s = max(1, int(detect_s / 4))
    for option, value in (
        (socket.TCP_NODELAY, 1),
        (socket.TCP_KEEPIDLE, probe_s),
        (socket.TCP_KEEPINTVL, probe_s),
        (socket.TCP_KEEPCNT, 2),
        (socket.TCP_USER_TIMEOUT, int(max(timeout_s, detect_s) * 1000)),
    ):
        sock.setsockopt(socket.IPPROTO_TCP, option, value)


def _words(error: OSError) -> str:
    return (error.strerror or type(error).__name__).lower()
