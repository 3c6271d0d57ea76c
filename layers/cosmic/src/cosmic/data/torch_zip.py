"""Where the members of a `torch.save` file lie: a zip that stores them as they are.

Only the zip's directory and the members' own headers are read, by range. Nothing is decompressed:
a compressed member is refused.
"""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Callable
from dataclasses import dataclass

LOCAL_HEADER = struct.Struct("<4s5H3I2H")
LOCAL_SIGNATURE = b"PK\x03\x04"
MAX_READ_BYTES = 1 << 20
PICKLE = "data.pkl"


class LayoutError(ValueError):
    """A file is not a partition of this layout; the message says what was found."""


@dataclass(frozen=True)
class Member:
    """Where a member's bytes lie in the file."""

    offset: int
    size: int


class Archive:
    """A `torch.save` file's members, by name without the folder that all of them are in."""

    def __init__(self, read: Callable[[int, int], bytes], file_bytes: int) -> None:
        """Read the directory.

        Raises:
            LayoutError: the file is no zip, or not one that `torch.save` writes.
        """
        self._read = read
        try:
            with zipfile.ZipFile(_RangedFile(read, file_bytes)) as archive:
                infos, self._end = archive.infolist(), archive.start_dir
        except (zipfile.BadZipFile, NotImplementedError, struct.error, ValueError) as error:
            raise LayoutError(f"not a zip file: {error}") from error
        pickles = [i.filename for i in infos if i.filename.endswith("/" + PICKLE)]
        if len(pickles) != 1 or pickles[0].count("/") != 1:
            raise LayoutError(f"a zip file with {len(pickles)} {PICKLE}")
        folder = pickles[0].removesuffix(PICKLE)
        self._infos = {i.filename.removeprefix(folder): i for i in infos}
        if len(self._infos) != len(infos):
            raise LayoutError("a zip file with two members of one name")
        _refuse_overlap(infos, self._end)

    def member(self, name: str) -> Member:
        """Where a member lies.

        Raises:
            LayoutError: there is none, it is compressed, or its two headers disagree.
        """
        info = self._infos.get(name)
        if info is None:
            raise LayoutError(f"member {name!r} is missing")
        stored = info.compress_type == zipfile.ZIP_STORED and info.compress_size == info.file_size
        if not stored or info.flag_bits & 1:
            raise LayoutError(f"member {name!r} is compressed or encrypted")
        header = self._read(info.header_offset, LOCAL_HEADER.size)
        signature, _, flags, method, _, _, _, _, _, name_bytes, extra_bytes = LOCAL_HEADER.unpack(
            header
        )
        offset = info.header_offset + LOCAL_HEADER.size + name_bytes + extra_bytes
        if signature != LOCAL_SIGNATURE or method != zipfile.ZIP_STORED or flags & 1:
            raise LayoutError(f"member {name!r} is not where the directory says")
        if offset + info.file_size > self._end:
            raise LayoutError(f"member {name!r} reaches into the directory")
        return Member(offset, info.file_size)

    def read(self, name: str, most: int) -> bytes:
        """A small member's bytes.

        Raises:
            LayoutError: as `member`, or it has more than `most` bytes.
        """
        member = self.member(name)
        if member.size > most:
            raise LayoutError(f"member {name!r} has {member.size} bytes, at most {most} are read")
        return self._read(member.offset, member.size)

    def __contains__(self, name: object) -> bool:
        """Whether there is a member of that name."""
        return name in self._infos


def _refuse_overlap(infos: list[zipfile.ZipInfo], end: int) -> None:
    at = 0
    for info in sorted(infos, key=lambda i: i.header_offset):
        if info.header_offset < at:
            raise LayoutError(f"member {info.filename!r} overlaps another")
        at = info.header_offset + LOCAL_HEADER.size + info.compress_size
    if at > end:
        raise LayoutError("its last member reaches into the directory")


class _RangedFile(io.RawIOBase):
    """As much of a file as `zipfile` needs, read by range, never much at once."""

    def __init__(self, read: Callable[[int, int], bytes], file_bytes: int) -> None:
        self._read, self._bytes, self._at = read, file_bytes, 0

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._bytes}[whence]
        if start + offset < 0:
            raise OSError(f"no byte {start + offset}")  # what zipfile expects of a short file
        self._at = start + offset
        return self._at

    def read(self, size: int = -1) -> bytes:
        left = max(0, self._bytes - self._at)
        size = left if size < 0 else min(size, left)
        if size > MAX_READ_BYTES:
            raise LayoutError(f"its directory has {size} bytes, at most {MAX_READ_BYTES} are read")
        data = self._read(self._at, size) if size else b""
        self._at += size
        return data
