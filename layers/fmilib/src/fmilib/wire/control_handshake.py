"""How a rank and the rendezvous prove to each other that they know the job's secret.

Three plain frames: the rank's hello with a nonce, the server's challenge with its own nonce
and proof, the rank's proof. Both proofs bind all that was said before; session keys follow.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable

from fmilib.errors import AuthError, RendezvousError
from fmilib.wire import keys
from fmilib.wire.control_frames import (
    Courier,
    Message,
    Reading,
    Writing,
    encode_plain,
    field,
    read_plain,
)

PROTOCOL = 1
_RANK, _SERVER = b"rank", b"rendezvous"
SecretOf = Callable[[str], bytes]


async def join(
    reader: Reading, writer: Writing, hello: Message, secret: bytes
) -> tuple[bytes, bytes]:
    """Do the rank's side; `hello` says job, rank, size, generation and instance.

    Returns:
        The keys that this side signs with, and that the server does.

    Raises:
        AuthError: the server did not prove that it knows the job's secret.
        RendezvousError: it spoke something else.
        asyncio.IncompleteReadError, OSError: it hung up.
    """
    nonce = secrets.token_hex(keys.NONCE_BYTES)
    raw_hello = encode_plain({"t": "hello", "v": PROTOCOL, "nonce": nonce, **hello})
    writer.write(raw_hello)
    answer, _ = await read_plain(reader)
    transcript = raw_hello + _hex(answer, "nonce", keys.NONCE_BYTES)
    proof = _hex(answer, "proof", keys.PROOF_BYTES)
    if not keys.same(proof, keys.prove(secret, _SERVER, transcript)):
        raise AuthError("the rendezvous did not prove that it knows this job's secret")
    writer.write(encode_plain({"t": "proof", "proof": keys.prove(secret, _RANK, transcript).hex()}))
    return (
        keys.session_key(secret, _RANK, transcript),
        keys.session_key(secret, _SERVER, transcript),
    )


async def admit(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, secret_of: SecretOf, already: bytes
) -> tuple[Message, Courier]:
    """Do the server's side; return the hello, now proven, and the signed connection.

    Raises:
        AuthError: the rank did not prove that it knows the job's secret.
        RendezvousError: it spoke something else.
        asyncio.IncompleteReadError, OSError: it hung up.
    """
    hello, raw_hello = await read_plain(reader, already)
    if field(hello, "v", int) != PROTOCOL:
        raise RendezvousError("a rank of another protocol version")
    _hex(hello, "nonce", keys.NONCE_BYTES)
    secret = secret_of(field(hello, "job", str))
    nonce = secrets.token_bytes(keys.NONCE_BYTES)
    transcript = raw_hello + nonce
    proof = keys.prove(secret, _SERVER, transcript)
    writer.write(encode_plain({"t": "challenge", "nonce": nonce.hex(), "proof": proof.hex()}))
    answer, _ = await read_plain(reader)
    if not keys.same(
        _hex(answer, "proof", keys.PROOF_BYTES), keys.prove(secret, _RANK, transcript)
    ):
        raise AuthError("a rank did not prove that it knows its job's secret")
    send_key = keys.session_key(secret, _SERVER, transcript)
    return hello, Courier(reader, writer, send_key, keys.session_key(secret, _RANK, transcript))


def _hex(message: Message, name: str, length: int) -> bytes:
    try:
        raw = bytes.fromhex(field(message, name, str))
    except ValueError:
        raw = b""
    if len(raw) != length:
        raise RendezvousError(f"a control message without a proper {name!r}")
    return raw
