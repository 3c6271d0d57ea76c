"""Secrets: one a job, derived from one a deployment; proofs and session keys from that.

Only HMAC-SHA256 is used. A proof binds everything that both sides said before it,
so it can't be replayed for another job, rank, epoch or connection.
"""

from __future__ import annotations

import hashlib
import hmac

NONCE_BYTES = 32
PROOF_BYTES = 32
MIN_SECRET_BYTES = 16
_SALT = b"fmilib deployment secret v1"


def derive_secret(deployment_secret: bytes, job: str) -> bytes:
    """Derive a job's 32-byte secret from the deployment's (HKDF-SHA256).

    Raises:
        ValueError: the deployment secret is shorter than 16 bytes, or the job has no name.
    """
    if len(deployment_secret) < MIN_SECRET_BYTES:
        raise ValueError(f"a secret needs {MIN_SECRET_BYTES} bytes, got {len(deployment_secret)}")
    if not job:
        raise ValueError("a job needs a name")
    extracted = hmac.digest(_SALT, deployment_secret, "sha256")
    return hmac.digest(extracted, b"job\0" + job.encode() + b"\x01", "sha256")


def prove(secret: bytes, role: bytes, transcript: bytes) -> bytes:
    """Return 32 bytes that only a holder of `secret` can make for this role and transcript."""
    return hmac.digest(secret, _labelled(b"proof", role, transcript), "sha256")


def session_key(secret: bytes, role: bytes, transcript: bytes) -> bytes:
    """Return the 32-byte key for what `role` sends after the handshake of `transcript`."""
    return hmac.digest(secret, _labelled(b"session", role, transcript), "sha256")


def same(left: bytes | memoryview, right: bytes | memoryview) -> bool:
    """Compare two proofs or tags in constant time."""
    return hmac.compare_digest(left, right)


def _labelled(purpose: bytes, role: bytes, transcript: bytes) -> bytes:
    return b"|".join((b"fmilib 1", purpose, role, hashlib.sha256(transcript).digest()))
