"""Where the local stack keeps the bytes of objects."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from cosmic_local.object_bytes import IN_MEMORY, ObjectBytes

SIZES = [0, 1, IN_MEMORY, IN_MEMORY + 1, 100_000]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where files go."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def filled(size: int) -> tuple[ObjectBytes, bytes]:
    body = bytes(number % 251 for number in range(size))
    made = ObjectBytes()
    assert made.write(body) == size
    made.seek(0)
    return made, body


@pytest.mark.parametrize("size", SIZES)
def test_what_is_written_is_read(size: int) -> None:
    made, body = filled(size)
    assert made.read() == body
    assert made.read() == b""
    for start in (0, 1, size // 2, size, size + 1):
        made.seek(start)
        assert made.read(7) == body[start : start + 7]
        assert made.read(3) == body[start + 7 : start + 10]


@pytest.mark.parametrize("size", SIZES)
def test_what_is_replaced_is_gone(size: int, folder: Path) -> None:
    made, _ = filled(size)
    made.seek(0)
    made.truncate()
    made.write(b"new" * IN_MEMORY)
    made.seek(0)
    assert made.read() == b"new" * IN_MEMORY
    assert len(list(folder.iterdir())) == 1


def test_only_what_is_large_is_in_a_file_and_nobody_holds_it_open(folder: Path) -> None:
    kept = [filled(size)[0] for size in SIZES]
    assert len(list(folder.iterdir())) == sum(size > IN_MEMORY for size in SIZES)
    opened = {str(Path(entry).resolve()) for entry in Path("/proc/self/fd").glob("*")}
    assert not opened & {str(path) for path in folder.iterdir()}
    kept[-1].close()
    assert len(list(folder.iterdir())) == 1
    kept.clear()
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("size", SIZES)
def test_an_object_that_is_gone_is_not_read_as_an_empty_one(size: int) -> None:
    made, _ = filled(size)
    made.close()
    with pytest.raises(ValueError, match="closed"):
        made.read()


def test_a_file_that_somebody_removed_is_an_object_that_is_gone(folder: Path) -> None:
    made, _ = filled(100_000)
    next(folder.iterdir()).unlink()
    with pytest.raises(ValueError, match="closed"):
        made.read()
