"""What covers a frame's payload: nothing, SHA-256, or AES-GMAC where `cryptography` is there.

A header is always signed (see `frames`), and holds 16 bytes for its payload. GMAC is keyed by
the link's direction and numbered by the frame; on processors with AES instructions it is about
ten times as fast as SHA-256. Both sides of a link say what they can in its handshake.
"""

from __future__ import annotations

import hmac
from enum import IntEnum
from typing import Protocol

from fmilib.frames import NO_DIGEST, digest_of

try:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM
except ImportError:  # an optional dependency
    HAVE_GMAC = False
else:
    HAVE_GMAC = True

Buffer = bytes | bytearray | memoryview
_NONCE_BYTES = 12


class Cover(IntEnum):
    """How payloads of a link are covered; a higher one is faster, not safer."""

    NONE = 0
    SHA256 = 1
    GMAC = 2


class Seal(Protocol):
    """Makes the 16 bytes that a header holds for its payload."""

    shared: bool

    def digest(self, counter: int, parts: list[Buffer]) -> bytes:
        """Return the digest of frame number `counter` of this direction."""
        ...


def offered(*, full: bool) -> Cover:
    """Return the best cover that this side can give."""
    if not full:
        return Cover.NONE
    return Cover.GMAC if HAVE_GMAC else Cover.SHA256


def agreed(mine: int, theirs: int) -> Cover | None:
    """Return the cover that both sides can give; None if only one of them wants any."""
    if bool(mine) != bool(theirs) or theirs not in Cover.__members__.values():
        return None
    return Cover(min(mine, theirs))


def seal(cover: Cover, key: bytes) -> Seal:
    """Return the seal of one direction of a link.

    Args:
        cover: what both sides agreed on.
        key: of that direction; the header's key is another.
    """
    if cover is Cover.GMAC:
        return Gmac(hmac.digest(key, b"payload", "sha256"))
    return Sha256() if cover is Cover.SHA256 else Bare()


class Bare:
    """Covers nothing."""

    shared = True

    def digest(self, counter: int, parts: list[Buffer]) -> bytes:
        """Return zeros."""
        return NO_DIGEST


class Sha256:
    """A plain digest; the header's keyed tag is over it."""

    shared = True

    def digest(self, counter: int, parts: list[Buffer]) -> bytes:
        """Return the first half of the payload's SHA-256."""
        return digest_of(*parts)


class Gmac:
    """AES-256-GMAC; the frame's number is the nonce, the key is used in one direction only."""

    shared = False

    def __init__(self, key: bytes) -> None:
        self._aes = AESGCM(key)

    def digest(self, counter: int, parts: list[Buffer]) -> bytes:
        """Return the payload's tag; zeros if it is empty."""
        whole = parts[0] if len(parts) == 1 else b"".join(parts)
        if not len(whole):
            return NO_DIGEST
        return self._aes.encrypt(counter.to_bytes(_NONCE_BYTES, "little"), b"", whole)
