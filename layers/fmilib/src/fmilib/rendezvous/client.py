"""One question to the rendezvous on a connection of its own, besides the one that registers.

The rank proves itself as for registering. What follows the answer is left on the socket.
"""

from __future__ import annotations

import asyncio
import socket

from fmilib.errors import RendezvousError
from fmilib.wire.control_frames import Message, Signed
from fmilib.wire.control_handshake import join


class RawStream:
    """Reads from a non-blocking socket exactly what is asked for, never more."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock

    async def readexactly(self, count: int, /) -> bytes:
        """Return `count` bytes.

        Raises:
            ConnectionResetError: the connection ended.
        """
        raw = b""
        while len(raw) < count:
            piece = await asyncio.get_running_loop().sock_recv(self._sock, count - len(raw))
            if not piece:
                raise ConnectionResetError("the rendezvous hung up")
            raw += piece
        return raw

    def write(self, data: bytes, /) -> None:
        """Send a short frame; a fresh connection's buffer has room for it."""
        self._sock.sendall(data)


async def request(
    sock: socket.socket, hello: Message, secret: bytes, question: Message, answer: str
) -> None:
    """Ask a question on a fresh connection and take in its answer; close it if that fails.

    Args:
        sock: connected, non-blocking.
        hello, secret: of this rank.
        question: a message.
        answer: the kind of message that is a yes.

    Raises:
        RendezvousError: it said no.
        AuthError: it doesn't know the job's secret.
        OSError: it hung up.
    """
    try:
        stream = RawStream(sock)
        signed = Signed(stream, stream, *await join(stream, stream, hello, secret))
        signed.post(question)
        found = await signed.read()
        if found.get("t") != answer:
            raise RendezvousError(str(found.get("text", f"not {answer}")))
    except BaseException:
        sock.close()
        raise
