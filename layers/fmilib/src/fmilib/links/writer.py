"""The sending half of a link: frames out, one at a time, and a last one at the end."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable

from fmilib.links.socket_options import DONTWAIT, NOSIGNAL, words
from fmilib.links.trouble import LinkLost
from fmilib.stats import Stats
from fmilib.wire.frames import HEADER_BYTES, NO_DIGEST, Envelope, Kind, pack, signer
from fmilib.wire.payload_auth import Buffer, PayloadAuth

__all__ = ["MAX_POISON_BYTES", "Buffer", "Writer"]
MAX_POISON_BYTES = 4096
AT_ONCE_BYTES = 4096  # copying so few is quicker than handing the kernel a list
_AT_ONCE = DONTWAIT | NOSIGNAL
_DATA = int(Kind.DATA)
_NO_STAMP = bytes(32)


class Writer:
    """Sends frames; the data thread's, but for `last_frame`, which any thread may call.

    Args:
        sock: the link's socket.
        peer: the other rank.
        epoch: the forming of the job.
        key: what headers are signed with.
        seal: what covers payloads.
        stats: where traffic and waiting are counted.
        stalled: called when a blocking send moved nothing for a while; returns to try again.
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
        self._sending = threading.Lock()
        self._cut = False
        self._left = 0
        self._sent = 0

    def send(self, call: Envelope, parts: list[Buffer], total: int) -> None:
        """Send one frame; return when the kernel has all of it.

        Args:
            call: what it belongs to.
            parts: its payload.
            total: bytes of the whole message.

        Raises:
            LinkLost, LinkQuiet.
        """
        digest, parts = self.wrap(parts) if total else (NO_DIGEST, parts)
        pending = self.open_frame(call, parts, total, digest)
        if self._left > AT_ONCE_BYTES or not self._send_at_once(pending):
            while pending:
                self.push(pending, 0)

    def wrap(self, parts: list[Buffer]) -> tuple[bytes, list[Buffer]]:
        """Return what this link puts in the next header for a payload, and sends for it."""
        return self._seal.wrap(self._sent, parts)

    def open_frame(
        self, call: Envelope, parts: list[Buffer], total: int, digest: bytes
    ) -> list[Buffer]:
        """Begin a frame and return what must be pushed; nothing else is sent until it is out."""
        self._sending.acquire()
        self._cut = True
        length = sum(map(len, parts))
        self._left = HEADER_BYTES + length
        stats = self._stats
        stats.sent_bytes += length
        stats.sent_messages += 1
        return [self._header(_DATA, call.stamp, length, total, digest), *parts]

    def push(self, pending: list[Buffer], flags: int) -> bool:
        """Send what the kernel takes of a frame; drop it from `pending`.

        Returns:
            Whether anything moved (always, if `flags` lets it block).

        Raises:
            LinkLost, LinkQuiet.
        """
        while not (sent := self._write(pending, flags)):
            if flags & DONTWAIT:
                return False
            self._stalled()
        self._left -= sent
        if self._left:
            _drop(pending, sent)
        else:
            self._close_frame(pending)
        return True

    def _send_at_once(self, pending: list[Buffer]) -> bool:
        """Send a short frame in one piece, if the kernel takes it; return whether it did."""
        try:
            sent = self._sock.send(b"".join(pending), _AT_ONCE)
        except OSError:  # anything worse than a full buffer is met again in `push`
            return False
        if sent != self._left:
            self._left -= sent
            _drop(pending, sent)
            return False
        self._close_frame(pending)
        return True

    def _close_frame(self, pending: list[Buffer]) -> None:
        pending.clear()
        self._cut = False
        self._sent += 1
        self._sending.release()

    def last_frame(self, kind: Kind, body: bytes) -> None:
        """Send a goodbye or poison if the stream is between two frames; never blocks."""
        if not self._sending.acquire(blocking=False):
            return
        if self._cut:
            self._sending.release()
            return
        self._cut = True
        digest, parts = self.wrap([body])
        raw = b"".join([self._header(kind, _NO_STAMP, len(body), len(body), digest), *parts])
        try:
            self._sock.send(raw, DONTWAIT | NOSIGNAL)
            self._sock.shutdown(socket.SHUT_WR)
        except OSError:
            return
        finally:
            self._sending.release()

    def _header(self, kind: int, stamp: bytes, length: int, total: int, digest: bytes) -> bytes:
        return pack(
            kind, stamp, length, total, digest,
            epoch=self._epoch, counter=self._sent, signer=self._signer,
        )  # fmt: skip

    def _write(self, pending: list[Buffer], flags: int) -> int:
        began = time.perf_counter()
        try:
            return self._sock.sendmsg(pending, (), flags | NOSIGNAL)
        except BlockingIOError:
            return 0
        except OSError as error:
            raise LinkLost(self._peer, words(error)) from None
        finally:
            self._stats.wait_s += time.perf_counter() - began


def _drop(pending: list[Buffer], sent: int) -> None:
    """Take the first `sent` bytes out of a list of buffers."""
    while pending and sent >= len(pending[0]):
        sent -= len(pending.pop(0))
    if sent:
        pending[0] = memoryview(pending[0])[sent:]
