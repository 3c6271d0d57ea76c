"""How two ranks prove to each other that they belong to one job and epoch.

The lower rank dials: it says who it is, whom it means and a nonce; the other answers with
its nonce and proof; the dialler proves itself. Fixed sizes, so nothing is allocated for a
stranger. Non-blocking sockets on an asyncio loop; the caller bounds the time.
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
import socket
import struct
from dataclasses import dataclass

from fmilib import keys
from fmilib.errors import AuthError
from fmilib.link import LinkKeys

_MAGIC = b"FMIL"
_VERSION = 1
_HELLO = struct.Struct("<4sHHHIII16s32s")
_DIALLER, _ACCEPTOR = b"dialler", b"acceptor"


@dataclass(frozen=True, slots=True)
class Identity:
    """What a rank proves: its job, secret, epoch, size, rank and the integrity of its frames."""

    job: str
    secret: bytes
    epoch: int
    rank: int
    size: int
    full: bool

    def job_mark(self) -> bytes:
        """Return 16 bytes that stand for the job's name."""
        return hashlib.sha256(self.job.encode()).digest()[:16]


async def dial(sock: socket.socket, me: Identity, peer: int) -> LinkKeys:
    """Do the dialler's side on a connected socket.

    Raises:
        AuthError: the other side didn't prove itself.
        ConnectionError, OSError: it hung up.
    """
    loop = asyncio.get_running_loop()
    nonce = secrets.token_bytes(keys.NONCE_BYTES)
    hello = _HELLO.pack(
        _MAGIC, _VERSION, me.full, me.size, me.epoch, me.rank, peer, me.job_mark(), nonce
    )  # fmt: skip
    await loop.sock_sendall(sock, hello)
    answer = await _exactly(sock, keys.NONCE_BYTES + keys.PROOF_BYTES)
    transcript = hello + answer[: keys.NONCE_BYTES]
    proof = answer[keys.NONCE_BYTES :]
    if not keys.same(proof, keys.prove(me.secret, _ACCEPTOR, transcript)):
        raise AuthError(f"whoever answered for rank {peer} didn't prove it")
    await loop.sock_sendall(sock, keys.prove(me.secret, _DIALLER, transcript))
    return _link_keys(me.secret, transcript, _DIALLER, _ACCEPTOR)


async def accept(sock: socket.socket, me: Identity) -> tuple[int, LinkKeys]:
    """Do the acceptor's side; return the dialler's rank, proven, and the keys.

    Raises:
        AuthError: the dialler is a stranger, or means another job, epoch or rank.
        ConnectionError, OSError: it hung up.
    """
    loop = asyncio.get_running_loop()
    hello = await _exactly(sock, _HELLO.size)
    magic, version, full, size, epoch, dialler, meant, mark, _ = _HELLO.unpack(hello)
    said = (magic, version, full, size, epoch, meant, mark)
    if said != (_MAGIC, _VERSION, me.full, me.size, me.epoch, me.rank, me.job_mark()):
        raise AuthError("a hello that isn't for this rank of this job")
    if not 0 <= dialler < me.rank:
        raise AuthError(f"rank {dialler} may not dial rank {me.rank}")
    nonce = secrets.token_bytes(keys.NONCE_BYTES)
    transcript = hello + nonce
    await loop.sock_sendall(sock, nonce + keys.prove(me.secret, _ACCEPTOR, transcript))
    proof = await _exactly(sock, keys.PROOF_BYTES)
    if not keys.same(proof, keys.prove(me.secret, _DIALLER, transcript)):
        raise AuthError(f"whoever says it is rank {dialler} didn't prove it")
    return dialler, _link_keys(me.secret, transcript, _ACCEPTOR, _DIALLER)


def _link_keys(secret: bytes, transcript: bytes, mine: bytes, theirs: bytes) -> LinkKeys:
    return LinkKeys(
        keys.session_key(secret, mine, transcript), keys.session_key(secret, theirs, transcript)
    )


async def _exactly(sock: socket.socket, length: int) -> bytes:
    loop = asyncio.get_running_loop()
    raw = b""
    while len(raw) < length:
        piece = await loop.sock_recv(sock, length - len(raw))
        if not piece:
            raise ConnectionResetError("hung up in the handshake")
        raw += piece
    return raw
