"""An object is read like any other file, and is one and the same until the end."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from cosmic.contracts.location import Location
from cosmic.errors import InputError
from cosmic.storage.local_store import LocalStore
from cosmic.storage.object_file import ObjectFile

DATA = bytes(range(100))
AT = Location("b", "folder/object")


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    made = LocalStore({"b": tmp_path})
    made.put(AT, DATA)
    return made


def test_it_reads_what_a_file_reads(store: LocalStore) -> None:
    ours, plain = ObjectFile(store, AT), io.BytesIO(DATA)
    for whence, offset, size in ((0, 10, 5), (1, 5, 30), (2, -7, 100), (2, 5, 1), (0, 0, -1)):
        assert ours.seek(offset, whence) == plain.seek(offset, whence)
        assert ours.read(size) == plain.read(size)
        assert ours.tell() == plain.tell()
    assert ours.readable()
    assert ours.seekable()


def test_an_object_that_has_changed_is_refused(store: LocalStore) -> None:
    file = ObjectFile(store, AT)
    store.put(AT, DATA + DATA)
    with pytest.raises(InputError, match="replaced by another file"):
        file.read(1)
