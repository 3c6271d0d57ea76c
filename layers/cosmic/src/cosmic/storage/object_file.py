"""An object as a file that is read here and there, by those who take nothing but files."""

from __future__ import annotations

import io

from cosmic.contracts.location import Location
from cosmic.storage.interfaces import Readable


class ObjectFile(io.RawIOBase):
    """An object, each read of which is a ranged request; it is the same object until the end.

    Args:
        store: Where it is.
        at: The object.

    Raises:
        InputError: it is not there, or a read finds that it was changed.
        TransientError: S3 failed, here or at a read.
    """

    def __init__(self, store: Readable, at: Location) -> None:
        self._store, self._at = store, at
        found = store.head(at)
        self._bytes, self._etag = found.bytes, found.etag
        self._position = 0

    def readable(self) -> bool:
        """It is read."""
        return True

    def seekable(self) -> bool:
        """It is read anywhere."""
        return True

    def tell(self) -> int:
        """Where the next read begins."""
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """Say where the next read begins."""
        begin = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._bytes}[whence]
        self._position = begin + offset
        return self._position

    def read(self, size: int | None = -1, /) -> bytes:
        """So many bytes, or fewer where it ends; -1: up to its end."""
        left = max(self._bytes - self._position, 0)
        length = left if size is None or size < 0 else min(size, left)
        if not length:
            return b""
        data = self._store.get_range(self._at, self._position, length, etag=self._etag)
        self._position += length
        return data
