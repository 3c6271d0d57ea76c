"""S3's ETags: what they say of an object's bytes, and those that a file would have.

The ETag is the MD5 of an object that was uploaded in one piece, and, for one that was uploaded in N
parts, that of the parts' MD5s, then `-N`. Of objects that are encrypted with a KMS key it is
neither (Amazon S3 API Reference, data type Object).
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

MIB = 1 << 20
PART_SIZES = tuple(n * MIB for n in (5, 8, 10, 15, 16, 25, 32, 50, 64, 100, 128, 256, 512))
UPLOAD_PART_BYTES = 8 * MIB  # those of boto3 and `aws s3`, and of this package
OF_S3 = re.compile(r'"?([0-9a-f]{32})(?:-(\d+))?"?')


class ETagCheck:
    """Compares the bytes of an object, as they come, with its ETag.

    The size of the parts is not in an ETag: those that programs use are tried.
    """

    def __init__(self, etag: str, size: int) -> None:
        """Begin with nothing.

        Args:
            etag: The ETag, quoted or not.
            size: The object's size in bytes.
        """
        found = OF_S3.fullmatch(etag)
        self._wanted: str = found[1] if found else ""
        parts = found[2] if found else None
        self._whole = hashlib.md5(usedforsecurity=False) if found and not parts else None
        count = int(parts or 0)
        self._parts = [_Parts(n) for n in PART_SIZES if count and -(-size // n) == count]

    @property
    def possible(self) -> bool:
        """Whether the ETag is one of S3's: others, such as a file's time, say nothing of bytes."""
        return bool(self._wanted)

    def update(self, data: memoryview) -> None:
        """Take the bytes that follow."""
        if self._whole is not None:
            self._whole.update(data)
        for parts in self._parts:
            parts.update(data)

    @property
    def matches(self) -> bool:
        """Whether the bytes so far are the object's, for all that the ETag can say."""
        if self._whole is not None and self._whole.hexdigest() == self._wanted:
            return True
        return any(parts.digest() == self._wanted for parts in self._parts)


class _Parts:
    """The MD5 of the MD5s of parts of one size."""

    def __init__(self, size: int) -> None:
        self._size, self._ended = size, b""
        self._part, self._missing = hashlib.md5(usedforsecurity=False), size

    def update(self, data: memoryview) -> None:
        while len(data):
            piece, data = data[: self._missing], data[self._missing :]
            self._part.update(piece)
            self._missing -= len(piece)
            if not self._missing:
                self._ended += self._part.digest()
                self._part, self._missing = hashlib.md5(usedforsecurity=False), self._size

    def digest(self) -> str:
        last = self._part.digest() if self._missing < self._size else b""
        return hashlib.md5(self._ended + last, usedforsecurity=False).hexdigest()


def etags_of(path: Path) -> tuple[str, str]:
    """The ETags of a file that is uploaded at once, and in parts of `UPLOAD_PART_BYTES`.

    Raises:
        OSError: the file can't be read.
    """
    whole, parts = hashlib.md5(usedforsecurity=False), list[bytes]()
    with path.open("rb") as file:
        while part := file.read(UPLOAD_PART_BYTES):
            whole.update(part)
            alone = hashlib.md5(part, usedforsecurity=False) if parts else whole.copy()
            parts.append(alone.digest())
    joined = hashlib.md5(b"".join(parts), usedforsecurity=False).hexdigest()
    return whole.hexdigest(), f"{joined}-{len(parts)}"
