"""`.pt` files that were made to do harm: nothing runs, nothing large is read, each is refused."""

from __future__ import annotations

import io
import os
import pickle
import struct
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import TensorDataset

from cosmic.contracts.columns import Header
from cosmic.data.formats import read_header
from cosmic.data.torch_pickle import MAX_PICKLE_BYTES
from cosmic.errors import Problem
from fault_support.evil_pickle import Evil

ROWS = 3
FLOATS = b"ctorch\nFloatStorage\n"
REBUILD = b"ctorch._utils\n_rebuild_tensor_v2\n"


def good() -> bytes:
    file = io.BytesIO()
    image, mag, z = torch.ones(ROWS, 5, 8, 8), torch.ones(ROWS, 5).double(), torch.ones(ROWS)
    torch.save(TensorDataset(image, mag, z), file)
    return file.getvalue()


def rezipped(
    change: Callable[[dict[str, bytes]], Any] = lambda _: None,
    compression: int = zipfile.ZIP_STORED,
) -> bytes:
    """The good file with its members changed."""
    with zipfile.ZipFile(io.BytesIO(good())) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    change(members)
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as archive:
        for name, body in members.items():
            archive.writestr(name, body)
    return file.getvalue()


def with_pickle(body: bytes) -> bytes:
    return rezipped(lambda members: members.update({"archive/data.pkl": body}))


def opened(body: bytes) -> tuple[Header | list[Problem], int]:
    """What a file is taken for, and the most that was read of it at once."""
    reads = [0]

    def read(offset: int, length: int) -> bytes:
        assert 0 <= offset <= offset + length <= len(body)
        reads.append(length)
        return body[offset : offset + length]

    return read_header("pt", read, len(body), "s3://b/k.pt"), max(reads)


def refusal(body: bytes) -> str:
    found, most = opened(body)
    assert not isinstance(found, Header)
    assert most <= 1 << 20
    (problem,) = found
    assert problem.code == "bad-partition"
    return problem.message


def tensor(offset: Any = 0, shape: Any = (ROWS, 5, 8, 8), stride: Any = (320, 64, 8, 1)) -> bytes:
    """A pickle of [image, mag] whose image has these measures."""

    def number(n: int) -> bytes:
        raw = n.to_bytes((n.bit_length() + 8) // 8, "little", signed=True)
        return b"\x8a" + bytes([len(raw)]) + raw

    def numbers(values: tuple[int, ...]) -> bytes:
        return b"(" + b"".join(number(v) for v in values) + b"t"

    def one(key: str, kind: bytes, elements: int, *measures: bytes) -> bytes:
        text = b"X" + struct.pack("<I", len(key)) + key.encode()
        storage = (
            b"(X\x07\0\0\0storage" + kind + text + b"X\x03\0\0\0cpu" + number(elements) + b"tQ"
        )
        return REBUILD + b"(" + storage + b"".join(measures) + b"\x89NtR"

    image = one("0", FLOATS, ROWS * 320, number(offset), numbers(shape), numbers(stride))
    double = b"ctorch\nDoubleStorage\n"
    mag = one("1", double, ROWS * 5, number(0), numbers((ROWS, 5)), numbers((5, 1)))
    return b"\x80\x02](" + image + mag + b"e."


def test_the_ground_is_sound() -> None:
    """The files here are refused for what is done to them, not for how they are made."""
    for body in (good(), rezipped(), with_pickle(tensor())):
        found, _ = opened(body)
        assert isinstance(found, Header)
        assert found.rows == ROWS


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4, 5])
def test_no_code_of_a_pickle_runs(tmp_path: Path, protocol: int) -> None:
    mark = tmp_path / "ran"
    for payload in (
        Evil(os.system, f"touch {mark}"),
        [torch.ones(1), Evil(eval, f"open({str(mark)!r}, 'w')")],
        {"image": Evil(getattr, Evil(__import__, "os"), "abort")},
    ):
        body = pickle.dumps(payload, protocol)
        refusal(with_pickle(body))
    assert not mark.exists()


def test_what_a_pickle_asks_for_is_named() -> None:
    said = refusal(with_pickle(pickle.dumps(Evil(os.system, "true"), 2)))
    assert f"asks for {os.name}.system" in said
    said = refusal(with_pickle(b"c" + b"x" * 60_000 + b"\nf\n."))
    assert len(said) < 300


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b".",
        b"(.",
        b"0.",
        b"}].",
        b"](t.",
        b"ctorch._utils\n_rebuild_tensor_v2\n)R.",
        REBUILD + FLOATS + b"\x81.",
        FLOATS + b"}b.",
        b"ctorch.utils.data.dataset\nTensorDataset\n}X\x07\0\0\0tensorsNsb.",
        b"ctorch.utils.data.dataset\nTensorDataset\n)\x81}X\x08\0\0\0__init__Nsb.",
        b"(X\x07\0\0\0storageI1\ntQ.",
        b"Pos\n.",
        b"\x82\x01.",
        b"]r\xff\xff\xff\xff.",
        b"]\x94h\x07.",
        b"\x8b\xff\xff\xff\x7f1.",
        b"V" + b"\\" * 40 + b"\n.",
        b"(" * 50_000 + b".",
        b"](" * 20_000 + b".",
        b")" + b"\x85" * 60_000 + b".",
        b")" + b"\x85" * 50_000 + b"\x85" + REBUILD + b"\x86.",
        b")" + b"\x85" * 50_000 + b"X\x01\0\0\0a\x93.",
        b"}(" + b"]X\x01\0\0\0a" * 5 + b"u.",
        tensor()[:-30],
    ],
)
def test_broken_pickles(body: bytes) -> None:
    tracemalloc.start()
    refusal(with_pickle(body))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 32 << 20


@pytest.mark.parametrize(
    ("measures", "says"),
    [
        ({"offset": 1}, "beyond its storage"),
        ({"offset": 1 << 61}, "beyond its storage"),
        ({"offset": 1 << 63}, "other than whole numbers"),
        ({"offset": -1}, "other than whole numbers"),
        ({"shape": (ROWS + 1, 5, 8, 8)}, "beyond its storage"),
        ({"shape": (1 << 60, 5, 8, 8)}, "beyond its storage"),
        ({"shape": (-ROWS, 5, 8, 8)}, "other than whole numbers"),
        ({"stride": (0, 64, 8, 1)}, "gaps"),
        ({"stride": (64, 64, 8, 1)}, "gaps"),
        ({"stride": (320, -64, 8, 1)}, "other than whole numbers"),
        ({"stride": (320, 64, 8)}, "has shape"),
        ({"shape": (), "stride": ()}, "0 dimensions"),
        ({"shape": (ROWS,) + (1,) * 9, "stride": (1,) * 10}, "10 dimensions"),
    ],
)
def test_tensors_that_lie_where_they_may_not(measures: dict[str, Any], says: str) -> None:
    assert says in refusal(with_pickle(tensor(**measures)))


def test_a_huge_pickle_is_not_read() -> None:
    assert "at most" in refusal(with_pickle(b"]" * (MAX_PICKLE_BYTES + 1)))


def test_compressed_members_are_not_decompressed() -> None:
    """A zip bomb's storage: small in the file, huge when decompressed."""

    def bomb(members: dict[str, bytes]) -> None:
        members["archive/data/0"] = bytes(64 << 20)

    body = rezipped(bomb, zipfile.ZIP_DEFLATED)
    assert len(body) < 1 << 20
    tracemalloc.start()
    assert "compressed" in refusal(body)
    assert tracemalloc.get_traced_memory()[1] < 8 << 20
    tracemalloc.stop()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda m: m.pop("archive/data.pkl"), "0 data.pkl"),
        (lambda m: m.update({"other/data.pkl": b""}), "2 data.pkl"),
        (lambda m: m.update({"a/b/data.pkl": m.pop("archive/data.pkl")}), "1 data.pkl"),
        (lambda m: m.pop("archive/data/1"), "'data/1' is missing"),
        (lambda m: m.update({"archive/data/0": b"short"}), "in 5 bytes"),
        (lambda m: m.update({"archive/byteorder": b"big"}), "big-endian"),
        (lambda m: m.update({"archive/byteorder": b"l" * 99}), "at most 16"),
    ],
)
def test_members_that_are_not_as_they_should(
    change: Callable[[dict[str, bytes]], Any], says: str
) -> None:
    assert says in refusal(rezipped(change))


def patched(find: bytes, nth: int, at: int, value: bytes) -> bytes:
    """The good file, plainly zipped, with bytes after the nth signature changed."""
    body = bytearray(rezipped())
    where = -1
    for _ in range(nth + 1):
        where = body.index(find, where + 1)
    body[where + at : where + at + len(value)] = value
    return bytes(body)


CENTRAL, LOCAL, END = b"PK\x01\x02", b"PK\x03\x04", b"PK\x05\x06"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"PK",
        END + bytes(18),
        bytes(1 << 17),
        patched(END, 0, 12, b"\xff\xff\xff\x7f"),  # a directory of 2 GiB
        patched(END, 0, 16, b"\xff\xff\xff\x7f"),  # far away
        patched(CENTRAL, 1, 42, struct.pack("<I", 0)),  # two members at one place
        patched(CENTRAL, 0, 42, struct.pack("<I", 1 << 31)),  # one beyond the end
        patched(CENTRAL, 4, 20, struct.pack("<II", 1 << 31, 1 << 31)),  # one larger than the file
        patched(CENTRAL, 0, 8, struct.pack("<H", 1)),  # encrypted
        patched(LOCAL, 0, 8, struct.pack("<H", 8)),  # stored says the directory, deflated itself
        patched(LOCAL, 0, 26, b"\xff\xff"),  # a name that shifts the pickle elsewhere
        good()[:-1000],
        good()[1000:],
    ],
)
def test_directories_that_lie(body: bytes) -> None:
    refusal(body)


def test_every_changed_byte_is_refused_or_harmless() -> None:
    """Nothing but a header or a refusal comes of a file with any one byte of its ends changed."""
    body = good()
    draw = np.random.default_rng(0)
    places = [*range(900), *range(len(body) - 1200, len(body))]
    for at in places:
        changed = bytearray(body)
        changed[at] ^= int(draw.integers(1, 256))
        found, _ = opened(bytes(changed))
        if isinstance(found, Header):
            for column in found.tensors.values():
                first, length = column.byte_range(0, found.rows)
                assert first >= 0
                assert first + length <= len(body)
