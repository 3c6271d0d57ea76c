"""Folders of this machine in the place of S3's buckets, for reading."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Self

from cosmic.contracts.contract import RequestPayer
from cosmic.contracts.location import Location
from cosmic.errors import InputError
from cosmic.storage.interfaces import StoredObject


class FolderStore:
    """Reads what `Store` reads, from folders by the names of the buckets that they stand for.

    Every method raises `InputError` where the file is not there or has changed.
    """

    def __init__(self, folders: Mapping[str, Path]) -> None:
        self._folders = folders

    def get(self, at: Location) -> bytes:
        """A whole file."""
        return self._path(at).read_bytes()

    def get_range(self, at: Location, offset: int, length: int, *, etag: str) -> bytes:
        """`length` bytes from `offset` of the file as it was when it had this tag."""
        data = bytearray(length)
        self.read_into(memoryview(data), at, offset, etag=etag)
        return bytes(data)

    def read_into(self, target: memoryview, at: Location, offset: int, *, etag: str) -> None:
        """Fill `target` from `offset` of the file, as it was with this tag if one is given."""
        with self._path(at).open("rb") as file:
            if etag and _tag(os.fstat(file.fileno())) != etag:
                hint = "the file has changed since the run was planned"
                message = f"{at.uri} has been replaced by another file"
                raise InputError(message, code="precondition-failed", hint=hint)
            file.seek(offset)
            got = file.readinto(target)
        if got < len(target):
            message = f"{at.uri}: only {got} of {len(target)} bytes from {offset} are there"
            raise InputError(message, code="bad-range", hint="it is shorter than its header says")

    def head(self, at: Location) -> StoredObject:
        """Size of a file, and a tag that changes with it."""
        found = self._path(at).stat()
        return StoredObject(at.key, found.st_size, _tag(found))

    def list(self, at: Location) -> Iterator[StoredObject]:
        """All files in a folder and below."""
        for key in self._keys(at.folder):
            yield self.head(Location(at.bucket, key))

    def keys_beginning(self, at: Location, most: int) -> Sequence[str]:
        """The first files whose places begin as this one does."""
        return self._keys(at)[:most]

    def paid_by(self, payer: RequestPayer | None) -> Self:
        """The same files: reading them costs nobody anything."""
        return self

    def _keys(self, at: Location) -> Sequence[str]:
        root = self._folder(at.bucket)
        start = root / at.key.rpartition("/")[0]
        keys = (p.relative_to(root).as_posix() for p in start.rglob("*") if p.is_file())
        return sorted((key for key in keys if key.startswith(at.key)), key=str.encode)

    def _folder(self, bucket: str) -> Path:
        if bucket not in self._folders:
            known = ", ".join(self._folders) or "none"
            hint = f"folders were given for: {known}"
            raise InputError(f"no folder was given for s3://{bucket}", code="no-bucket", hint=hint)
        return self._folders[bucket]

    def _path(self, at: Location) -> Path:
        root = self._folder(at.bucket)
        path = root / at.key
        if not path.is_file() or not _holds(root, path):
            raise InputError(f"{path} is not a file", code="not-found", hint="check its spelling")
        return path


def _tag(found: os.stat_result) -> str:
    """What changes with a file."""
    return f'"{found.st_size}-{found.st_mtime_ns}"'


def _holds(folder: Path, path: Path) -> bool:
    """Whether a file lies in a folder or below it, wherever links lead; all files do in the root,
    so that links need not be followed for every range that is read."""
    is_root = folder.is_absolute() and folder == folder.parent
    return is_root or path.resolve().is_relative_to(folder.resolve())


class LocalOutput(io.FileIO):
    """A file on this machine."""

    def __init__(self, path: os.PathLike[str]) -> None:
        super().__init__(path, "w")

    def write_start(self, data: bytes) -> None:
        """Replace the first bytes."""
        os.pwrite(self.fileno(), data, 0)
