"""The last way to a rank: a connection through the rendezvous, which passes bytes on unseen.

The rank proves itself to the rendezvous as for registering, and names the rank it means. On
the bytes that follow, the two ranks do the handshake of any link; the rendezvous, though it
could cut the connection, can't change or forge a frame unnoticed.
"""

from __future__ import annotations

import asyncio
import socket

from fmilib import ports
from fmilib.control_frames import Message, Signed
from fmilib.control_handshake import join
from fmilib.errors import RendezvousError
from fmilib.ports import Address


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


async def through(
    rendezvous: Address, hello: Message, secret: bytes, ask: Message
) -> socket.socket:
    """Return a connection to the rank that `ask` names, through the rendezvous.

    Raises:
        RendezvousError: it doesn't pass anything on for this rank.
        AuthError: it doesn't know the job's secret.
        OSError: it can't be reached, or hung up.
    """
    sock = await ports.call(rendezvous)
    try:
        stream = RawStream(sock)
        signed = Signed(stream, stream, *await join(stream, stream, hello, secret))
        signed.post({"t": "relay", **ask})
        answer = await signed.read()
        if answer.get("t") != "relayed":
            raise RendezvousError(str(answer.get("text", "no relay")))
    except BaseException:
        sock.close()
        raise
    return sock
