"""Secrets and proofs: fixed by known answers, apart by purpose."""

from __future__ import annotations

import copy
import pickle

import pytest
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

import fmilib
from fmilib.wire import keys


@pytest.mark.parametrize("job", ["run", "später", "x" * 256])
def test_derivation_is_hkdf(job: str) -> None:
    deployment = bytes(range(32))
    salt, info = b"fmilib deployment secret v1", b"job\0" + job.encode()
    expected = HKDF(algorithm=SHA256(), length=32, salt=salt, info=info).derive(deployment)
    assert fmilib.derive_secret(deployment, job) == expected


def test_derivation_refuses_what_is_too_weak() -> None:
    with pytest.raises(ValueError, match="16 bytes"):
        fmilib.derive_secret(b"short", "job")
    with pytest.raises(ValueError, match="name"):
        fmilib.derive_secret(bytes(32), "")


def test_proofs_and_keys_of_different_purpose_differ() -> None:
    secret = bytes(32)
    made = {
        make(one_secret, role, said)
        for make in (keys.prove, keys.session_key)
        for one_secret in (secret, b"1" * 32)
        for role in (b"rank", b"rendezvous", b"dialler")
        for said in (b"", b"a", b"ab")
    }
    assert len(made) == 2 * 2 * 3 * 3


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (fmilib.PeerFailed(3, "gone"), "rank 3 failed: gone"),
        (fmilib.Aborted(1, "why"), "rank 1 stopped the job: why"),
        (fmilib.Timeout("barrier", (1, 2)), "barrier gave up waiting for: 1, 2"),
        (fmilib.StaleGeneration(0, 2), "generation 0 of this rank is fenced by generation 2"),
        (fmilib.MismatchError("a, b"), "a, b"),
        (fmilib.AuthError("who?"), "who?"),
        (fmilib.RendezvousError("where?"), "where?"),
    ],
)
def test_errors_keep_their_facts_when_copied(error: fmilib.FmiError, words: str) -> None:
    for twin in (error, copy.copy(error), pickle.loads(pickle.dumps(error))):  # noqa: S301
        assert type(twin) is type(error)
        assert vars(twin) == vars(error)
        assert str(twin) == words
