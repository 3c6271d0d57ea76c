"""Messages between a rank and the rendezvous: short JSON objects in signed frames.

Before the handshake a frame is plain and at most 2 KiB; after it every frame carries a
keyed tag that binds its place in the stream, and is at most 1 MiB.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import struct
from typing import Any, Protocol

from fmilib.errors import AuthError, RendezvousError
from fmilib.wire import keys

MAGIC = b"FMIR"
MAX_PLAIN_BYTES = 2048
MAX_SIGNED_BYTES = 1 << 20
REMEMBERED = 16  # collectives that a sign of life tells of
_TAG_BYTES = 16
_PREFIX = struct.Struct("<4sI")
Message = dict[str, Any]


class Reading(Protocol):
    """Where frames come from."""

    async def readexactly(self, n: int, /) -> bytes:
        """Return exactly this many bytes."""
        ...


class Writing(Protocol):
    """Where frames go."""

    def write(self, data: bytes, /) -> None:
        """Queue bytes."""
        ...


def field(message: Message, name: str, kind: type) -> Any:
    """Return a field of a message if it has exactly that type.

    Raises:
        RendezvousError: it hasn't.
    """
    value = message.get(name)
    if type(value) is not kind:
        raise RendezvousError(f"a control message without a proper {name!r}")
    return value


def encode_plain(message: Message) -> bytes:
    """Return an unsigned frame."""
    body = json.dumps(message, separators=(",", ":")).encode()
    return _PREFIX.pack(MAGIC, len(body)) + body


async def read_plain(reader: Reading, already: bytes = b"") -> tuple[Message, bytes]:
    """Read an unsigned frame, of which `already` was read; return it and its raw bytes.

    Raises:
        RendezvousError: it is no frame, or too long.
        asyncio.IncompleteReadError: the connection ended.
    """
    prefix = already + await reader.readexactly(_PREFIX.size - len(already))
    body = await reader.readexactly(_length(prefix, MAX_PLAIN_BYTES))
    return parse(body), prefix + body


class Signed:
    """Signed messages both ways over one connection.

    Args:
        reader, writer: the connection.
        send_key, receive_key: what each side signs with.
    """

    def __init__(
        self, reader: Reading, writer: Writing, send_key: bytes, receive_key: bytes
    ) -> None:
        self._reader = reader
        self._out = writer
        self._send_key = send_key
        self._receive_key = receive_key
        self._sent = 0
        self._received = 0

    def post(self, message: Message) -> None:
        """Queue a message; what the kernel doesn't take yet is kept by the transport."""
        body = json.dumps(message, separators=(",", ":")).encode()
        tag = _tag(self._send_key, self._sent, body)
        self._sent += 1
        self._out.write(_PREFIX.pack(MAGIC, len(body)) + tag + body)

    async def read(self) -> Message:
        """Return the next message.

        Raises:
            AuthError: its tag is wrong.
            RendezvousError: it is no frame, or too long.
            asyncio.IncompleteReadError, OSError: the connection ended.
        """
        prefix = await self._reader.readexactly(_PREFIX.size + _TAG_BYTES)
        body = await self._reader.readexactly(_length(prefix, MAX_SIGNED_BYTES))
        if not keys.same(_tag(self._receive_key, self._received, body), prefix[_PREFIX.size :]):
            raise AuthError("a control message's tag is wrong")
        self._received += 1
        return parse(body)


class Courier(Signed):
    """Signed messages over a stream that this side may drop or close."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        send_key: bytes,
        receive_key: bytes,
    ) -> None:
        super().__init__(reader, writer, send_key, receive_key)
        self._writer = writer

    def backlog_bytes(self) -> int:
        """Return how much was posted and not yet taken by the kernel."""
        return self._writer.transport.get_write_buffer_size()

    def abort(self) -> None:
        """Drop the connection at once."""
        self._writer.transport.abort()

    async def close(self, within_s: float) -> None:
        """Send what is queued and close, within a bound."""
        try:
            async with asyncio.timeout(within_s):
                await self._writer.drain()
                self._writer.close()
                await self._writer.wait_closed()
        except (OSError, TimeoutError):
            self.abort()


def parse(body: bytes) -> Message:
    """Return the JSON object of a frame's body.

    Raises:
        RendezvousError: it is none.
    """
    try:
        message = json.loads(body)
    except (ValueError, RecursionError):
        raise RendezvousError("a control message that is no JSON") from None
    if not isinstance(message, dict):
        raise RendezvousError("a control message that is no object")
    return message


def _length(prefix: bytes, limit: int) -> int:
    magic, length = _PREFIX.unpack_from(prefix)
    if magic != MAGIC:
        raise RendezvousError("not a control message")
    if length > limit:
        raise RendezvousError(f"a control message of {length} bytes; {limit} is the most")
    return int(length)


def _tag(key: bytes, counter: int, body: bytes) -> bytes:
    signed = struct.pack("<Q", counter) + body
    return hashlib.blake2b(signed, key=key, digest_size=_TAG_BYTES).digest()
