"""A folder of this machine in the place of a bucket, for a run that needs no S3."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import uuid
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from threading import Lock
from typing import Any

from cosmic.contracts.location import Location
from cosmic.storage.interfaces import Requests
from cosmic.storage.json_text import listed
from cosmic.storage.local import FolderStore, LocalOutput


class LocalStore(FolderStore):
    """Reads and writes what `Store` does, in folders by the names of the buckets.

    A file appears under its name once it is complete, so whatever ends the process leaves either
    the old one or the new one. Only one process may write at a time, because `replace` compares
    first and then writes.

    Args:
        folders: Folders by the names of the buckets that they stand for.
    """

    def __init__(self, folders: Mapping[str, Path]) -> None:
        super().__init__(folders)
        self._reads, self._writes = 0, 0
        self._lock = Lock()

    @property
    def requests(self) -> Requests:
        """What would have been requests to S3 until now."""
        with self._lock:
            return Requests(self._reads, self._writes)

    def get(self, at: Location) -> bytes:
        """A whole file."""
        self._count(reads=1)
        return super().get(at)

    def read_into(self, target: memoryview, at: Location, offset: int, *, etag: str) -> None:
        """Fill `target` with the bytes from `offset` of the file as it was with this tag."""
        self._count(reads=1)
        super().read_into(target, at, offset, etag=etag)

    def get_current(self, at: Location) -> tuple[bytes, str] | None:
        """A small file and the tag that it has; None if it is not there."""
        if not self.path(at).is_file():
            return None
        return self.get(at), self.head(at).etag

    def put(
        self,
        at: Location,
        body: bytes,
        content_type: str = "",
    ) -> None:
        """Write a file."""
        with self._new(at) as path:
            path.write_bytes(body)
            path.replace(self.path(at))

    def put_json(self, at: Location, document: Any) -> None:
        """Write a JSON file, keys in the order given.

        Raises:
            ValueError: it holds an infinity or NaN, which JSON doesn't have.
        """
        self.put(at, _json_text(document))

    def put_json_list(
        self, at: Location, document: Mapping[str, Any], name: str, items: Iterable[Any]
    ) -> None:
        """Write a JSON file whose last member lists many items, of which few are in memory.

        Raises:
            ValueError: something holds an infinity or NaN, which JSON doesn't have.
        """
        with self._new(at) as path:
            with path.open("wb") as file:
                file.writelines(listed(_json_text, document, name, items))
            path.replace(self.path(at))

    def put_once(self, at: Location, body: bytes) -> bool:
        """Write a file unless there is one already; says whether it was written."""
        with self._new(at) as path:
            path.write_bytes(body)
            try:
                os.link(path, self.path(at))
            except FileExistsError:
                return False
        return True

    def replace(self, at: Location, body: bytes, etag: str, content_type: str = "") -> str:
        """Write a file if it still has this tag, or is still not there; returns the new tag."""
        found = self.get_current(at)
        if (found[1] if found else "") != etag:
            return ""
        self.put(at, body, content_type)
        return self.head(at).etag

    def get_described(self, at: Location) -> tuple[bytes, dict[str, str]]:
        """A whole file; nothing is said of it."""
        return self.get(at), {}

    def writer(self, at: Location) -> LocalWriter:
        """What writes a file piece by piece; it appears when it is whole."""
        self._count(writes=1)
        return LocalWriter(self, at)

    def upload(self, path: Path, at: Location, metadata: Mapping[str, str] | None = None) -> None:
        """Copy a file; a folder keeps nothing that is said of it."""
        with self._new(at) as copy:
            shutil.copyfile(path, copy)
            copy.replace(self.path(at))

    def download(self, at: Location, path: Path) -> None:
        """Copy a file."""
        self._count(reads=1)
        shutil.copyfile(self.path(at), path)

    def delete(self, at: Location) -> None:
        """Delete a file; one that is not there is no error."""
        self._count(writes=1)
        self.path(at).unlink(missing_ok=True)

    def mark_scratch(self, at: Location) -> None:
        """Nothing: who made the folder removes it."""

    def path(self, at: Location) -> Path:
        """Where a file is, or would be."""
        return self._folder(at.bucket) / at.key

    @contextlib.contextmanager
    def _new(self, at: Location) -> Iterator[Path]:
        """A name beside a place; what has it after the block, and was not moved there, is gone."""
        self._count(writes=1)
        beside = _beside(self.path(at))
        try:
            yield beside
        finally:
            beside.unlink(missing_ok=True)

    def _count(self, reads: int = 0, writes: int = 0) -> None:
        with self._lock:
            self._reads += reads
            self._writes += writes


def _json_text(document: Any) -> bytes:
    return json.dumps(document, indent=1, allow_nan=False).encode()


def _beside(target: Path) -> Path:
    """A name beside a file that no other has; their folder is made if it does not exist."""
    target.parent.mkdir(parents=True, exist_ok=True)
    return target.with_name(f".{target.name}.{uuid.uuid4().hex}")


class LocalWriter(LocalOutput):
    """A file that appears when it is whole, under any name of its store.

    Args:
        store: Where it appears.
        at: In whose folder it is written.
    """

    begun = False  # it can be renamed until it appears

    def __init__(self, store: LocalStore, at: Location) -> None:
        self._store, target = store, store.path(at)
        self._beside = _beside(target)
        super().__init__(self._beside)

    def send_all(self) -> None:
        """Nothing: it is all here."""

    def commit(self, at: Location) -> None:
        """Make the file appear."""
        self.close()
        self._beside.replace(self._store.path(at))

    def discard(self) -> None:
        """Remove it, unless it was committed."""
        self.close()
        self._beside.unlink(missing_ok=True)
