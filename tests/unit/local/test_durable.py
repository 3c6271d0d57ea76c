"""The folder of what outlives a stack."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from cosmic_local.durable.documents import EVENTS, Documents, PendingEvents
from cosmic_local.durable.folder import DataFolder, opened
from cosmic_local.durable.objects import Description, ObjectFiles, encoded
from cosmic_local.errors import DataError, Stopping

OURS = {"stack": "cosmic", "region": "us-east-1"}
HOSTILE = ["../../out", "/etc/passwd", "a\0b", "..", "x" * 1024, "é\n", "\udc80", "drafts/../lock"]


@pytest.fixture
def data(tmp_path: Path) -> Iterator[DataFolder]:
    with opened(tmp_path / "data", OURS) as made:
        yield made


def described(bucket: str, key: str, body: bytes, etag: str = "parts-2") -> Description:
    return Description(bucket, key, len(body), etag, "null", False, "2026-01-01T00:00:00+00:00")


def put(files: ObjectFiles, key: str, body: bytes, etag: str = "parts-2") -> None:
    files.keep("b", key, lambda: encoded(described("b", key, body, etag), [body[:1], body[1:]]))


def test_what_is_kept_comes_back_whatever_it_is_called(data: DataFolder, tmp_path: Path) -> None:
    files = ObjectFiles(data)
    for number, name in enumerate(HOSTILE):
        put(files, name, b"\n" * number)
    assert {d.key: body for d, body in files.read()} == {
        n: b"\n" * i for i, n in enumerate(HOSTILE)
    }
    assert [path.name for path in tmp_path.iterdir()] == ["data"]
    assert {path.name for path in data.folder.iterdir()} == {
        "format.json",
        "lock",
        "drafts",
        "objects",
    }
    assert all(len(path.name) == 64 for path in data.files("objects"))


def test_an_object_is_replaced_and_removed(data: DataFolder) -> None:
    files = ObjectFiles(data)
    put(files, "k", b"old")
    put(files, "k", b"new")
    assert [body for _, body in files.read()] == [b"new"]
    files.keep("b", "k", lambda: None)
    files.keep("b", "never", lambda: None)
    assert list(files.read()) == []


def test_bucket_and_key_are_not_confused(data: DataFolder) -> None:
    files = ObjectFiles(data)
    places = [("b", "c/d"), ("b-c", "d")]
    for place in places:
        content = encoded(described(*place, b""), [])
        files.keep(*place, partial(iter, content))
    assert sorted((found.bucket, found.key) for found, _ in files.read()) == places


def test_what_breaks_off_leaves_the_old_object_and_no_draft(data: DataFolder) -> None:
    files = ObjectFiles(data)
    put(files, "k", b"old")

    def breaks() -> Iterator[bytes]:
        yield b"half"
        raise OSError(28, "No space left on device")

    with pytest.raises(DataError, match="No space left on device"):
        files.keep("b", "k", breaks)
    assert [body for _, body in files.read()] == [b"old"]
    assert list((data.folder / "drafts").iterdir()) == []


@pytest.mark.parametrize("damage", [b"", b"{}\n", b"no json\n", b"[]\nx"])
def test_a_damaged_file_is_named(data: DataFolder, damage: bytes) -> None:
    files = ObjectFiles(data)
    put(files, "k", b"hello", "5d41402abc4b2a76b9719d911017c592")
    (path,) = data.files("objects")
    path.write_bytes(damage)
    with pytest.raises(DataError, match=f"{path} is damaged"):
        list(files.read())


@pytest.mark.parametrize("body", [b"hellO", b"hell"])
def test_bytes_that_are_not_the_object_are_refused(data: DataFolder, body: bytes) -> None:
    files = ObjectFiles(data)
    put(files, "k", b"hello", "5d41402abc4b2a76b9719d911017c592")
    (path,) = data.files("objects")
    path.write_bytes(path.read_bytes().partition(b"\n")[0] + b"\n" + body)
    with pytest.raises(DataError, match="is damaged"):
        list(files.read())


def test_events_are_pending_until_they_are_done_with(data: DataFolder) -> None:
    events = PendingEvents(data)
    events.accepted("1", "init", '{"é": 1}'.encode(), "s3")
    events.accepted("2", "init", b"{}", "s3")
    events.done("2")
    data.close()
    events.done("1")  # by the end of the stack
    document = {"request_id": "1", "function": "init", "payload": '{"é": 1}', "source": "s3"}
    assert events.read() == [document]


def test_nothing_is_written_once_it_is_closed(data: DataFolder) -> None:
    data.close()
    with pytest.raises(Stopping):
        put(ObjectFiles(data), "k", b"x")
    assert list(data.files("objects")) == []


def test_one_stack_at_a_time(data: DataFolder) -> None:
    with (
        pytest.raises(DataError, match="another stack uses the data in"),
        opened(data.folder, OURS),
    ):
        pass


def test_the_next_one_gets_it(tmp_path: Path) -> None:
    for _ in range(2):
        with opened(tmp_path, OURS) as data:
            (tmp_path / "drafts" / "half").write_text("left by a stack that was killed")
            Documents(data, EVENTS).keep("n", lambda: {"a": 1})
    assert list(Documents(data, EVENTS).read()) == [{"a": 1}]


@pytest.mark.parametrize(
    ("mark", "said"),
    [
        ({"format": 2, **OURS}, "by another version of Cosmic"),
        ({"format": 0}, "by another version of Cosmic"),
        ([], "by another version of Cosmic"),
        ({"format": 1, **OURS, "region": "eu-west-1"}, "region 'eu-west-1', not 'us-east-1'"),
        ({"format": 1, **OURS, "stack": "other"}, "stack 'other', not 'cosmic'"),
    ],
)
def test_data_of_others_are_refused(tmp_path: Path, mark: object, said: str) -> None:
    (tmp_path / "format.json").write_text(json.dumps(mark))
    with pytest.raises(DataError, match=said), opened(tmp_path, OURS):
        pass
    assert json.loads((tmp_path / "format.json").read_text()) == mark


def test_a_damaged_mark_is_named(tmp_path: Path) -> None:
    (tmp_path / "format.json").write_text("{")
    with pytest.raises(DataError, match=r"format\.json is damaged"), opened(tmp_path, OURS):
        pass


def test_a_folder_of_something_else_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("")
    with pytest.raises(DataError, match="something other than a local stack's data"):
        opened(tmp_path, OURS).__enter__()
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "f").write_text("")
    with pytest.raises(DataError, match="File exists"), opened(tmp_path / "f", OURS):
        pass
