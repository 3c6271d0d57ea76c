"""A link: one authenticated socket to one rank, that sends and receives frames.

The data thread owns it. Another thread may only call `poison` and `shut`, which wake a
data thread that is blocked in it.
"""

from __future__ import annotations

import select
import socket
import time
import weakref
from collections.abc import Callable
from dataclasses import dataclass

from fmilib.links import socket_options
from fmilib.links.reader import SMALL_BYTES, Reader
from fmilib.links.trouble import LinkLost, LinkQuiet, LinkTrouble, PeerLeft, Poisoned
from fmilib.links.writer import MAX_POISON_BYTES, Writer
from fmilib.stats import Stats
from fmilib.wire.frames import Kind
from fmilib.wire.payload_auth import AuthMode, Buffer, seal

__all__ = [
    "SMALL_BYTES", "Buffer", "Link", "LinkKeys", "LinkLost", "LinkQuiet", "LinkTrouble",
    "PeerLeft", "Poisoned",
]  # fmt: skip


Wait = Callable[[dict["Link", int], float], bool]


@dataclass(frozen=True, slots=True)
class LinkKeys:
    """What two ranks agreed on: two keys, one a direction, and what covers payloads."""

    send: bytes
    receive: bytes
    cover: AuthMode


class Link:
    """Frames to and from one peer.

    Args:
        sock: a connected socket whose handshake is done.
        peer: the other rank.
        epoch: the forming of the job that both sides proved.
        keys: what each side signs its headers with, and what covers payloads.
        timeout_s: bound of every send and receive in which nothing moves.
        detect_s: bound within which a silent loss of an idle link is noticed.
        stats: where traffic and waiting are counted.

    Attributes:
        peer: the other rank.
        writer, reader: its two halves.
        wait: how a blocked send or receive waits; takes the events (of `select.poll`) wanted of
            each link and a bound in seconds, returns whether one of them came.
    """

    def __init__(
        self,
        sock: socket.socket,
        peer: int,
        epoch: int,
        keys: LinkKeys,
        *,
        timeout_s: float,
        detect_s: float,
        stats: Stats,
    ) -> None:
        self.peer = peer
        self._sock = sock
        self._stats = stats
        self.wait: Wait = wait_for
        self._timeout_s = timeout_s
        me = weakref.proxy(self)  # its halves don't keep it, and it goes when its user lets go
        self.writer = Writer(
            sock, peer, epoch, keys.send, seal(keys.cover, keys.send), stats,
            lambda: me._stalled(select.POLLOUT, "takes no data"),
        )  # fmt: skip
        self.reader = Reader(
            sock, peer, epoch, keys.receive, seal(keys.cover, keys.receive), stats,
            lambda: me._stalled(select.POLLIN, "sends no data"),
        )  # fmt: skip
        socket_options.tune(sock, detect_s)

    def fileno(self) -> int:
        """Return the descriptor, to poll it."""
        return self._sock.fileno()

    def _stalled(self, event: int, words: str) -> None:
        began = time.perf_counter()
        ready = self.wait({self: event}, self._timeout_s)
        self.waited(time.perf_counter() - began)
        if not ready:
            raise LinkQuiet(self.peer, words)

    def waited(self, seconds: float) -> None:
        """Count time that was spent waiting for this link elsewhere."""
        self._stats.wait_s += seconds

    def bye(self) -> None:
        """Say that nothing more will be sent; errors don't matter any more."""
        self.writer.last_frame(Kind.BYE, b"")

    def poison(self, failure: bytes) -> None:
        """Pass on that the job failed, if the stream is between two frames; then shut."""
        self.writer.last_frame(Kind.POISON, failure[:MAX_POISON_BYTES])
        self.shut()

    def unsent(self) -> int:
        """Return the bytes that the peer's kernel hasn't acknowledged; 0 once the link is dead."""
        return socket_options.unsent(self._sock)

    def silent_ms(self) -> int:
        """Return for how long data has been on the way without any acknowledgement."""
        return socket_options.silent_ms(self._sock)

    def shut(self) -> None:
        """End both directions at once and wake every thread that is blocked in the link."""
        try:
            self._sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            return

    def close(self) -> None:
        """Give the descriptor back."""
        self._sock.close()


def wait_for(wanted: dict[Link, int], timeout_s: float) -> bool:
    """Wait until one of the events wanted of links has come; return whether one has."""
    poll = select.poll()
    for link, events in wanted.items():
        poll.register(link.fileno(), events)
    return bool(poll.poll(timeout_s * 1000))
