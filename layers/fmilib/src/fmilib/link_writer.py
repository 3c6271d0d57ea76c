"""The sending half of a link: frames out, one at a time, and a last one at the end."""

from __future__ import annotations

import socket
import threading
import time

from fmilib.frames import Call, Kind, pack
from fmilib.link_socket import DONTWAIT, NOSIGNAL, words
from fmilib.link_trouble import LinkLost, LinkQuiet
from fmilib.seals import Buffer, Seal
from fmilib.stats import Stats

__all__ = ["MAX_POISON_BYTES", "Buffer", "Writer"]
MAX_POISON_BYTES = 4096
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
        self._sending = threading.Lock()
        self._cut = False
        self._sent = 0

    def send(
        self, call: Call, parts: list[Buffer], total: int, digest: bytes | None = None
    ) -> bytes:
        """Send one frame, return its digest when the kernel has all of it.

        Args:
            call: what it belongs to.
            parts: its payload.
            total: bytes of the whole message.
            digest: of the payload, if it is known already; ignored if this link has its own.

        Raises:
            LinkLost, LinkQuiet.
        """
        if digest is None or not self._seal.shared:
            digest = self.digest(parts)
        pending = self.open_frame(call, parts, total, digest)
        while pending:
            self.push(pending, 0)
        return digest

    def digest(self, parts: list[Buffer]) -> bytes:
        """Return what this link puts in a header for a payload."""
        return self._seal.digest(self._sent, parts)

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

    def last_frame(self, kind: Kind, body: bytes) -> None:
        """Send a goodbye or poison if the stream is between two frames; never blocks."""
        if not self._sending.acquire(blocking=False):
            return
        if self._cut:
            self._sending.release()
            return
        self._cut = True
        raw = self._header(kind, _NO_STAMP, len(body), len(body), self.digest([body])) + body
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
            epoch=self._epoch, counter=self._sent, key=self._key,
        )  # fmt: skip

    def _write(self, pending: list[Buffer], flags: int) -> int:
        began = time.perf_counter()
        try:
            return self._sock.sendmsg(pending, (), flags | NOSIGNAL)
        except BlockingIOError:
            if flags & DONTWAIT:
                return 0
            raise LinkQuiet(self._peer, "takes no data") from None
        except OSError as error:
            raise LinkLost(self._peer, words(error)) from None
        finally:
            self._stats.wait_s += time.perf_counter() - began
