"""What a link needs of its socket: options, and what the kernel knows of the other side."""

from __future__ import annotations

import fcntl
import socket
import struct
import termios

# As plain integers: an enumeration's `|` and `&` take a microsecond on every message.
DONTWAIT, NOSIGNAL, WAITALL = (
    int(flag) for flag in (socket.MSG_DONTWAIT, socket.MSG_NOSIGNAL, socket.MSG_WAITALL)
)
_TCP_INFO_BYTES, _TCP_INFO_UNACKED, _TCP_INFO_LAST_ACK = 104, 24, 56
_TCP_CLOSED = 7
# After so long without a byte a blocked call looks after the other links too.
STALL_S = 0.01
_TIMEVAL = struct.Struct("@ll")


def tune(sock: socket.socket, detect_s: float) -> None:
    """Set what a link's socket needs: no Nagle, kernel time-outs, detection of silent loss.

    An idle link that is cut ends by keepalive, one with data on the way by `silent_ms`.
    TCP_USER_TIMEOUT must stay unset: with it Linux counts no unanswered keepalive probes but
    waits for all of that time, and it ends a connection whose peer is alive but doesn't read.
    """
    sock.setblocking(True)
    bound = _TIMEVAL.pack(0, int(STALL_S * 1e6))
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, bound)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, bound)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    probe_s = max(1, int(detect_s / 4))
    for option, value in (
        (socket.TCP_NODELAY, 1),
        (socket.TCP_KEEPIDLE, probe_s),
        (socket.TCP_KEEPINTVL, probe_s),
        (socket.TCP_KEEPCNT, 2),
    ):
        sock.setsockopt(socket.IPPROTO_TCP, option, value)


def unsent(sock: socket.socket) -> int:
    """Return the bytes that the peer's kernel hasn't acknowledged; 0 once the link is dead."""
    if sock.fileno() < 0 or _info(sock)[0] == _TCP_CLOSED:
        return 0
    raw = fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, bytes(4))
    count: int = struct.unpack("@i", raw)[0]
    return count


def silent_ms(sock: socket.socket) -> int:
    """Return for how long data has been on the way without any acknowledgement."""
    if sock.fileno() < 0:
        return 0
    info = _info(sock)
    (unacknowledged,) = struct.unpack_from("@I", info, _TCP_INFO_UNACKED)
    (last_ack_ms,) = struct.unpack_from("@I", info, _TCP_INFO_LAST_ACK)
    return int(last_ack_ms) if unacknowledged else 0


def words(error: OSError) -> str:
    """Return the kernel's words for an error."""
    return (error.strerror or type(error).__name__).lower()


def _info(sock: socket.socket) -> bytes:
    return sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO_BYTES)
