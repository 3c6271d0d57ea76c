"""Native partitions whose header was made to do harm are refused."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cosmic.contracts.columns import Header
from cosmic.data.formats import read_header
from cosmic.data.native import write_partition
from cosmic.errors import Problem


@pytest.fixture
def good(make_columns: Callable[..., Any], tmp_path: Path) -> bytes:
    path = tmp_path / "p"
    write_partition(path, make_columns(70, size=8))
    return path.read_bytes()


def opened(body: bytes) -> Header | list[Problem]:
    def read(offset: int, length: int) -> bytes:
        assert 0 <= offset <= offset + length <= len(body)
        return body[offset : offset + length]

    return read_header("safetensors", read, len(body), "s3://b/k")


def with_header(good: bytes, header: bytes) -> bytes:
    (length,) = struct.unpack_from("<Q", good)
    return struct.pack("<Q", len(header)) + header + good[8 + length :]


def changed(good: bytes, change: Callable[[Any], Any]) -> bytes:
    (length,) = struct.unpack_from("<Q", good)
    document = json.loads(good[8 : 8 + length])
    change(document)
    return with_header(good, json.dumps(document).encode())


def test_the_ground_is_sound(good: bytes) -> None:
    found = opened(changed(good, lambda _: None))
    assert isinstance(found, Header)
    assert found.checksums
    assert {len(c) for c in found.checksums.values.values()} == {2}


@pytest.mark.parametrize(
    "header",
    [b"[" * 100_000, b'{"a":' * 50_000, b"{}", b"null", b"\xff\xfe", b'{"image": 1}', b"  "],
)
def test_headers_that_are_no_table_of_contents(good: bytes, header: bytes) -> None:
    assert not isinstance(opened(with_header(good, header)), Header)


@pytest.mark.parametrize(
    "change",
    [
        lambda d: d["__metadata__"].update(crc32_rows="0"),
        lambda d: d["__metadata__"].update(crc32_rows="1000000000"),
        lambda d: d["__metadata__"].update(crc32_rows="many"),
        lambda d: d["__metadata__"].update({"crc32.image": ""}),
        lambda d: d["__metadata__"].update({"crc32.image": "0" * 8_000}),
        lambda d: d["__metadata__"].update({"crc32.image": "x" * 16}),
        lambda d: d["__metadata__"].pop("crc32.mag"),
        lambda d: d.update(__metadata__=[]),
        lambda d: d["image"].update(shape=[1 << 62, 5, 1 << 40, 1 << 40]),
        lambda d: d["image"].update(shape=[-70, 5, -8, 8]),
        lambda d: d["image"].update(data_offsets=[-89_600, 0]),
        lambda d: d["ra"].update(data_offsets=[1 << 60, (1 << 60) + 560]),
    ],
)
def test_headers_that_lie(good: bytes, change: Callable[[Any], Any]) -> None:
    assert not isinstance(opened(changed(good, change)), Header)
