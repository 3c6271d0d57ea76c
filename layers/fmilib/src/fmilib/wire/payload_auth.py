"""What covers a frame's payload: nothing, SHA-256, or AES-GMAC where `cryptography` is there.

A header is always signed (see `frames`), and holds 16 bytes for its payload. GMAC is keyed by
the link's direction and numbered by the frame; on processors with AES instructions it is about
ten times as fast as SHA-256. With AES-GCM the payload is encrypted as well, and the 16 bytes are
the cipher's own tag. Both sides of a link say what they can in its handshake.
"""

from __future__ import annotations

import hmac
from enum import IntEnum
from typing import Protocol

from fmilib.wire.frames import NO_DIGEST, digest_of

try:
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM
except ImportError:  # an optional dependency
    HAVE_GMAC = False
else:
    HAVE_GMAC = True

Buffer = bytes | bytearray | memoryview
_NONCE_BYTES = 12


class AuthMode(IntEnum):
    """How payloads of a link are covered; GMAC is faster, not safer, than SHA-256."""

    NONE = 0
    SHA256 = 1
    GMAC = 2
    CIPHER = 3


class PayloadAuth(Protocol):
    """Makes the 16 bytes that a header holds for its payload.

    Attributes:
        hides: whether what is sent isn't the payload itself.
    """

    hides: bool

    def digest(self, counter: int, parts: list[Buffer]) -> bytes:
        """Return the digest of frame number `counter` of this direction."""
        ...

    def wrap(self, counter: int, parts: list[Buffer]) -> tuple[bytes, list[Buffer]]:
        """Return the digest of a frame, and what is sent for its payload."""
        ...

    def unwrap(self, counter: int, body: Buffer, digest: bytes) -> bool:
        """Return whether what came fits its digest; from then on `body` is the payload."""
        ...


def offered(*, full: bool, encrypt: bool = False) -> AuthMode:
    """Return the best cover that this side can give; one that encrypts does nothing less."""
    if encrypt:
        return AuthMode.CIPHER
    if not full:
        return AuthMode.NONE
    return AuthMode.GMAC if HAVE_GMAC else AuthMode.SHA256


def agreed(mine: int, theirs: int) -> AuthMode | None:
    """Return the cover that both can give; None if only one wants any, or wants to encrypt."""
    if bool(mine) != bool(theirs) or theirs not in AuthMode.__members__.values():
        return None
    if AuthMode.CIPHER in (mine, theirs) and mine != theirs:
        return None
    return AuthMode(min(mine, theirs))


def seal(cover: AuthMode, key: bytes) -> PayloadAuth:
    """Return the seal of one direction of a link.

    Args:
        cover: what both sides agreed on.
        key: of that direction; the header's key is another.
    """
    if cover is AuthMode.CIPHER:
        return Cipher(hmac.digest(key, b"cipher", "sha256"))
    if cover is AuthMode.GMAC:
        return Gmac(hmac.digest(key, b"payload", "sha256"))
    return Sha256() if cover is AuthMode.SHA256 else Bare()


class _Open:
    """What is sent is the payload."""

    hides = False

    def digest(self, counter: int, parts: list[Buffer]) -> bytes:
        """Return the digest of a payload."""
        raise NotImplementedError

    def wrap(self, counter: int, parts: list[Buffer]) -> tuple[bytes, list[Buffer]]:
        """Return the payload's digest and the payload."""
        return self.digest(counter, parts), parts

    def unwrap(self, counter: int, body: Buffer, digest: bytes) -> bool:
        """Return whether a payload fits its digest."""
        return hmac.compare_digest(self.digest(counter, [body]), digest)


class Bare(_Open):
    """Covers nothing."""

    def digest(self, counter: int, parts: list[Buffer]) -> bytes:
        """Return zeros."""
        return NO_DIGEST


class Sha256(_Open):
    """A plain digest; the header's keyed tag is over it."""

    def digest(self, counter: int, parts: list[Buffer]) -> bytes:
        """Return the first half of the payload's SHA-256."""
        return digest_of(*parts)


class Gmac(_Open):
    """AES-256-GMAC; the frame's number is the nonce, the key is used in one direction only."""

    def __init__(self, key: bytes) -> None:
        self._aes = AESGCM(key)

    def digest(self, counter: int, parts: list[Buffer]) -> bytes:
        """Return the payload's tag; zeros if it is empty."""
        whole = parts[0] if len(parts) == 1 else b"".join(parts)
        if not len(whole):
            return NO_DIGEST
        return self._aes.encrypt(_nonce(counter), b"", whole)


class Cipher:
    """AES-256-GCM; the frame's number is the nonce, the key is used in one direction only."""

    hides = True

    def __init__(self, key: bytes) -> None:
        self._aes = AESGCM(key)

    def digest(self, counter: int, parts: list[Buffer]) -> bytes:
        """Return the tag of a payload's encryption."""
        return self.wrap(counter, parts)[0]

    def wrap(self, counter: int, parts: list[Buffer]) -> tuple[bytes, list[Buffer]]:
        """Return the tag and the encrypted payload, which is as long as the payload."""
        whole = parts[0] if len(parts) == 1 else b"".join(parts)
        if not len(whole):
            return NO_DIGEST, parts
        sealed = memoryview(self._aes.encrypt(_nonce(counter), whole, None))
        return bytes(sealed[-len(NO_DIGEST) :]), [sealed[: -len(NO_DIGEST)]]

    def unwrap(self, counter: int, body: Buffer, digest: bytes) -> bool:
        """Decrypt `body` in its place, if its tag is right; return whether it is."""
        try:
            payload = self._aes.decrypt(_nonce(counter), b"".join((body, digest)), None)
        except InvalidTag:
            return False
        memoryview(body)[:] = payload
        return True


def _nonce(counter: int) -> bytes:
    return counter.to_bytes(_NONCE_BYTES, "little")
