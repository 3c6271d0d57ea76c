"""The bytes of an object of S3: small ones in memory, others in a file that nobody keeps open."""

from __future__ import annotations

import tempfile
from contextlib import suppress
from pathlib import Path

IN_MEMORY = 1024


class ObjectBytes:
    """What moto keeps an object's bytes in, in the place of a `SpooledTemporaryFile`.

    That holds up to 16 MB of each object in memory, and a descriptor for each larger one: a bucket
    would soon have more of them than a process may. A file of this class is gone with its object.
    """

    __slots__ = ("_at", "_closed", "_held", "_path")

    def __init__(self, max_size: int = 0) -> None:
        """Make it empty; how much moto would hold in memory is ignored."""
        self._held, self._path, self._at, self._closed = b"", "", 0, False

    def write(self, data: bytes) -> int:
        """Take an object's bytes, all of them."""
        if len(data) <= IN_MEMORY:
            self._held = bytes(data)
        else:
            self._path = _written(data)
        return len(data)

    def seek(self, offset: int) -> int:
        """Read on from there."""
        self._at = offset
        return offset

    def truncate(self) -> None:
        """Hold nothing."""
        self._remove()

    def read(self, size: int = -1) -> bytes:
        """This many bytes, or all.

        Raises:
            ValueError: the object is gone.
        """
        if self._closed:
            raise ValueError("I/O operation on closed file.")
        if not self._path:
            found = self._held[self._at :] if size < 0 else self._held[self._at : self._at + size]
        else:
            found = self._read_file(size)
        self._at += len(found)
        return found

    def _read_file(self, size: int) -> bytes:
        try:
            with Path(self._path).open("rb") as file:
                file.seek(self._at)
                return file.read(size)
        except FileNotFoundError as error:
            raise ValueError("I/O operation on closed file.") from error

    def close(self) -> None:
        """The object is gone."""
        self._remove()
        self._closed = True

    def _remove(self) -> None:
        path, self._path, self._held = self._path, "", b""
        if path:
            with suppress(OSError):
                Path(path).unlink()

    def __del__(self) -> None:
        """Leave no file."""
        self._remove()


def _written(data: bytes) -> str:
    """A new file with these bytes."""
    with tempfile.NamedTemporaryFile(prefix="object-", delete=False) as file:
        try:
            file.write(data)
            file.flush()
        except BaseException:
            Path(file.name).unlink()
            raise
    return file.name
