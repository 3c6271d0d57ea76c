"""What S3's ETag says of an object's bytes."""

from __future__ import annotations

import hashlib

import pytest

from cosmic.storage.etag import MIB, ETagCheck

BODY = bytes(range(256)) * (48 * 1024 + 1)  # 12 MiB and 256 bytes


def md5(data: bytes) -> bytes:
    return hashlib.md5(data, usedforsecurity=False).digest()


def in_parts(size: int) -> str:
    parts = [md5(BODY[start : start + size]) for start in range(0, len(BODY), size)]
    return f'"{md5(b"".join(parts)).hex()}-{len(parts)}"'


def check(etag: str, body: bytes, step: int = 3_000_001) -> ETagCheck:
    made = ETagCheck(etag, len(body))
    for start in range(0, len(body), step):
        made.update(memoryview(body)[start : start + step])
    return made


WHOLE = f'"{md5(BODY).hex()}"'
LIKELY = [WHOLE, WHOLE.strip('"'), *(in_parts(n * MIB) for n in (5, 8, 10, 16))]


@pytest.mark.parametrize("etag", LIKELY)
def test_it_knows_the_bytes(etag: str) -> None:
    assert check(etag, BODY).matches


@pytest.mark.parametrize("etag", LIKELY)
@pytest.mark.parametrize("at", [0, 8 * MIB, len(BODY) - 1])
def test_a_flipped_bit_is_seen(etag: str, at: int) -> None:
    spoilt = bytearray(BODY)
    spoilt[at] ^= 1
    assert not check(etag, bytes(spoilt)).matches


def test_parts_of_a_size_that_nobody_uses_are_not_known() -> None:
    assert not check(in_parts(7 * MIB), BODY).matches


@pytest.mark.parametrize("etag", ["", '"12-345"', "W/x", f"{'a' * 31}", f"{'g' * 32}"])
def test_what_is_none_of_s3s_says_nothing(etag: str) -> None:
    made = check(etag, BODY)
    assert (made.possible, made.matches) == (False, False)


def test_an_empty_object() -> None:
    assert check(md5(b"").hex(), b"").matches
