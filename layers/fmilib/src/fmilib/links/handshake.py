"""How two ranks prove to each other that they belong to one job and epoch.

The lower rank dials: it says who it is, whom it means and a nonce; the other answers with
its nonce and proof; the connector proves itself. If it was the higher rank whose call came
through (a hole was punched), it knocks, and the lower one then dials on that connection.
Fixed sizes, so nothing is allocated for a stranger. Non-blocking sockets on an asyncio loop;
the caller bounds the time.
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
import socket
import struct
from dataclasses import dataclass

from fmilib.errors import AuthError
from fmilib.links.link import LinkKeys
from fmilib.wire import keys, payload_auth
from fmilib.wire.payload_auth import AuthMode

HELLO, KNOCK, PROBE = b"FMIL", b"FMIK", b"FMIP"
MAGIC_BYTES = 4
_ANSWER = b"FMIA"
_VERSION = 1
_HELLO = struct.Struct("<4sHHHIII16s32s")
_KNOCK = struct.Struct("<4sIII")
_PROBE = struct.Struct("<4sIII16s32s")
_ALIVE = b"alive"
_DIALLER, _ACCEPTOR = b"dialler", b"acceptor"


@dataclass(frozen=True, slots=True)
class Identity:
    """What a rank proves: its job, secret, epoch, size, rank and the cover of its frames."""

    job: str
    secret: bytes
    epoch: int
    rank: int
    size: int
    full: bool
    encrypt: bool = False

    @property
    def cover(self) -> AuthMode:
        """Return the best cover of payloads that this rank can give."""
        return payload_auth.offered(full=self.full, encrypt=self.encrypt)

    def job_mark(self) -> bytes:
        """Return 16 bytes that stand for the job's name."""
        return hashlib.sha256(self.job.encode()).digest()[:16]


async def dial(sock: socket.socket, me: Identity, peer: int) -> LinkKeys:
    """Do the connector's side on a connected socket.

    Raises:
        AuthError: the other side did not prove its identity.
        ConnectionError, OSError: it hung up.
    """
    loop = asyncio.get_running_loop()
    nonce = secrets.token_bytes(keys.NONCE_BYTES)
    hello = _HELLO.pack(
        HELLO, _VERSION, me.cover, me.size, me.epoch, me.rank, peer, me.job_mark(), nonce
    )  # fmt: skip
    await loop.sock_sendall(sock, hello)
    await _skip_knocks(sock)
    answer = await exactly(sock, 1 + keys.NONCE_BYTES + keys.PROOF_BYTES)
    chosen, proof = answer[0], answer[-keys.PROOF_BYTES :]
    transcript = hello + answer[: -keys.PROOF_BYTES]
    if not keys.same(proof, keys.prove(me.secret, _ACCEPTOR, transcript)):
        raise AuthError(f"the process that answered for rank {peer} did not prove its identity")
    cover = payload_auth.agreed(me.cover, chosen)
    if cover is None:
        raise AuthError(f"rank {peer} chose a cover of payloads that wasn't offered")
    await loop.sock_sendall(sock, keys.prove(me.secret, _DIALLER, transcript))
    return _link_keys(me.secret, transcript, _DIALLER, _ACCEPTOR, cover)


async def accept(sock: socket.socket, me: Identity, read: bytes = b"") -> tuple[int, LinkKeys]:
    """Do the acceptor's side; return the connector's rank, proven, and the keys.

    Args:
        sock: a connected socket.
        me: this rank.
        read: what was read of the hello already.

    Raises:
        AuthError: the connector is a stranger, or means another job, epoch or rank.
        ConnectionError, OSError: it hung up.
    """
    loop = asyncio.get_running_loop()
    hello = read + await exactly(sock, _HELLO.size - len(read))
    magic, version, offer, size, epoch, connector, meant, mark, _ = _HELLO.unpack(hello)
    cover = payload_auth.agreed(me.cover, offer)
    said = (magic, version, size, epoch, meant, mark)
    if cover is None or said != (
        HELLO, _VERSION, me.size, me.epoch, me.rank, me.job_mark()
    ):  # fmt: skip
        raise AuthError("a hello that isn't for this rank of this job")
    if not 0 <= connector < me.rank:
        raise AuthError(f"rank {connector} may not dial rank {me.rank}")
    choice = bytes([cover]) + secrets.token_bytes(keys.NONCE_BYTES)
    transcript = hello + choice
    await loop.sock_sendall(sock, _ANSWER + choice + keys.prove(me.secret, _ACCEPTOR, transcript))
    proof = await exactly(sock, keys.PROOF_BYTES)
    if not keys.same(proof, keys.prove(me.secret, _DIALLER, transcript)):
        raise AuthError(f"the process that claims to be rank {connector} did not prove it")
    return connector, _link_keys(me.secret, transcript, _ACCEPTOR, _DIALLER, cover)


async def knock(sock: socket.socket, me: Identity, peer: int) -> None:
    """Ask the lower rank, at the other end of a connection that this one opened, to dial.

    Raises:
        OSError: it hung up.
    """
    raw = _KNOCK.pack(KNOCK, me.epoch, me.rank, peer)
    await asyncio.get_running_loop().sock_sendall(sock, raw)


async def read_knock(sock: socket.socket, me: Identity) -> int:
    """Return the rank that says it knocks; its magic was read. It has proven nothing yet.

    Raises:
        AuthError: it means another rank or epoch.
        OSError: it hung up.
    """
    raw = KNOCK + await exactly(sock, _KNOCK.size - MAGIC_BYTES)
    _, epoch, knocker, meant = _KNOCK.unpack(raw)
    if (epoch, meant) != (me.epoch, me.rank) or not me.rank < knocker < me.size:
        raise AuthError("a knock that isn't for this rank")
    return int(knocker)


async def probe(sock: socket.socket, me: Identity, peer: int) -> None:
    """Ask a rank for a sign of life on a connection of its own.

    Raises:
        AuthError: the process that answered is not that rank.
        OSError: it hung up.
    """
    nonce = secrets.token_bytes(keys.NONCE_BYTES)
    raw = _PROBE.pack(PROBE, me.epoch, me.rank, peer, me.job_mark(), nonce)
    await asyncio.get_running_loop().sock_sendall(sock, raw)
    proof = await exactly(sock, keys.PROOF_BYTES)
    if not keys.same(proof, keys.prove(me.secret, _ALIVE, raw)):
        raise AuthError(f"the process that answered for rank {peer} did not prove its identity")


async def answer_probe(sock: socket.socket, me: Identity) -> None:
    """Give a sign of life; the probe's magic was read.

    Raises:
        AuthError: it means another rank, job or epoch.
        OSError: it hung up.
    """
    raw = PROBE + await exactly(sock, _PROBE.size - MAGIC_BYTES)
    _, epoch, _, meant, mark, _ = _PROBE.unpack(raw)
    if (epoch, meant, mark) != (me.epoch, me.rank, me.job_mark()):
        raise AuthError("a probe that isn't for this rank")
    await asyncio.get_running_loop().sock_sendall(sock, keys.prove(me.secret, _ALIVE, raw))


async def _skip_knocks(sock: socket.socket) -> None:
    """Read on until an answer begins; the other side may have knocked before it was dialled."""
    magic = await exactly(sock, MAGIC_BYTES)
    if magic == KNOCK:
        await exactly(sock, _KNOCK.size - MAGIC_BYTES)
        magic = await exactly(sock, MAGIC_BYTES)
    if magic != _ANSWER:
        raise AuthError("no answer to a hello")


def _link_keys(
    secret: bytes, transcript: bytes, mine: bytes, theirs: bytes, cover: AuthMode
) -> LinkKeys:
    send, receive = (keys.session_key(secret, role, transcript) for role in (mine, theirs))
    return LinkKeys(send, receive, cover)


async def exactly(sock: socket.socket, length: int) -> bytes:
    """Read this many bytes.

    Raises:
        ConnectionResetError: the other side hung up.
    """
    loop = asyncio.get_running_loop()
    raw = b""
    while len(raw) < length:
        piece = await loop.sock_recv(sock, length - len(raw))
        if not piece:
            raise ConnectionResetError("hung up in the handshake")
        raw += piece
    return raw
