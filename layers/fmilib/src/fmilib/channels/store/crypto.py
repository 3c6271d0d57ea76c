"""Seals on what a store keeps: write access to the store is not enough to speak for a rank.

A *record* (JSON) is signed for its purpose. A *message* goes in a lane: one direction between
two ranks, one epoch, one queue. The lane's keys are derived from all of these and from the
job's secret, and each message is numbered, so it can't stand in any other place.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
from typing import Any, Protocol, cast

from fmilib.wire import frames, keys, payload_auth
from fmilib.wire.frames import Envelope, Head, Kind
from fmilib.wire.payload_auth import AuthMode

Record = dict[str, Any]
_MARK = b"FMIS"
CIPHER_BYTES = 16


class Cipher(Protocol):
    """Encryption that also authenticates."""

    def encrypt(self, nonce: bytes, data: bytes, associated_data: bytes | None) -> bytes:
        """Return the encrypted data and its tag."""
        ...

    def decrypt(self, nonce: bytes, data: bytes, associated_data: bytes | None) -> bytes:
        """Return the data."""
        ...


def seal(secret: bytes, purpose: str, record: Record) -> bytes:
    """Return a record as signed bytes."""
    body = json.dumps(record, separators=(",", ":")).encode()
    return _MARK + keys.prove(secret, b"record " + purpose.encode(), body) + body


def unseal(secret: bytes, purpose: str, raw: bytes | None) -> Record | None:
    """Return a record; None if there is none, or nobody with the secret made it."""
    if raw is None or raw[: len(_MARK)] != _MARK:
        return None
    start = len(_MARK) + keys.PROOF_BYTES
    proof, body = raw[len(_MARK) : start], raw[start:]
    if not keys.same(keys.prove(secret, b"record " + purpose.encode(), body), proof):
        return None
    try:
        found = json.loads(body)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


class AuthenticatedStream:
    """One direction between two ranks, for one queue: its keys and its next number.

    Args:
        secret: the job's.
        epoch: the forming, in hexadecimal.
        source, dest: who sends, and to whom.
        queue: which messages stay in order with each other.
        cover: how the header covers the payload.
        encrypt: whether payloads are encrypted; needs `cryptography`.
    """

    def __init__(
        self,
        secret: bytes,
        epoch: str,
        source: int,
        dest: int,
        queue: tuple[int, int],
        *,
        cover: AuthMode = AuthMode.SHA256,
        encrypt: bool = False,
    ) -> None:
        self.name = f"{source}-{dest}/{queue[0]}.{queue[1]}"
        self.number = 0
        self._epoch = int(epoch[:8], 16)
        place = f"{epoch}/{self.name}".encode()
        key = keys.session_key(secret, b"lane", place)
        self._signer = frames.signer(key)
        self._seal = payload_auth.seal(cover, key)
        self._cipher = _cipher(keys.session_key(secret, b"cipher", place)) if encrypt else None

    def pack(self, call: Envelope, body: bytes, total: int) -> bytes:
        """Return the next message of the lane."""
        length, nonce = len(body), self.number.to_bytes(12, "little")
        if self._cipher is not None:
            body = self._cipher.encrypt(nonce, body, None)
        head = frames.pack(
            Kind.DATA, call.stamp, length, total, self._seal.digest(self.number, [body]),
            epoch=self._epoch, counter=self.number, signer=self._signer,
        )  # fmt: skip
        self.number += 1
        return head + body

    def unpack(self, item: bytes) -> tuple[Head, memoryview]:
        """Check the next message of the lane and return its header and payload.

        Raises:
            GarbledError: it isn't the next message of this lane.
        """
        view = memoryview(item)
        head = frames.unpack(
            view[: frames.HEADER_BYTES], epoch=self._epoch, counter=self.number, signer=self._signer
        )
        body = view[frames.HEADER_BYTES :]
        extra = CIPHER_BYTES if self._cipher is not None else 0
        digest = self._seal.digest(self.number, [body])
        if len(body) != head.length + extra or not keys.same(digest, head.digest):
            raise frames.GarbledError("a payload differs from its digest")
        if self._cipher is not None:
            nonce = self.number.to_bytes(12, "little")
            body = memoryview(self._cipher.decrypt(nonce, bytes(body), None))
        self.number += 1
        return head, body


def can_encrypt() -> bool:
    """Return whether the `cryptography` package is there."""
    return importlib.util.find_spec("cryptography") is not None


def _cipher(key: bytes) -> Cipher:
    module = importlib.import_module("cryptography.hazmat.primitives.ciphers.aead")
    return cast(Cipher, module.AESGCM(key))
