"""Byte ranges of a file: fewer and larger ones for S3, where a request costs time and money."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

GAP_BYTES = 128 << 10  # reading so much too much is cheaper than another request,
GAP_SHARE = 1 / 8  # as long as it is little beside what is wanted
PART_BYTES = 2 << 20  # what one connection reads at a time


@dataclass
class Span:
    """Consecutive bytes of a file that are read as one, and the ranges that lie in them."""

    offset: int
    length: int
    ranges: dict[str, tuple[int, int]]

    def parts(self) -> Iterator[tuple[int, int]]:
        """Offset in the span and length of what each connection reads."""
        for at in range(0, self.length, PART_BYTES):
            yield at, min(PART_BYTES, self.length - at)


def spans(ranges: Mapping[str, tuple[int, int]]) -> list[Span]:
    """Join ranges (offset and length by name) that overlap or nearly touch."""
    gap = min(GAP_BYTES, GAP_SHARE * sum(length for _, length in ranges.values()))
    joined: list[Span] = []
    for name, (offset, length) in sorted(ranges.items(), key=lambda item: item[1]):
        last = joined[-1] if joined else None
        if last and offset - (last.offset + last.length) <= gap:
            last.length = max(last.length, offset + length - last.offset)
            last.ranges[name] = (offset - last.offset, length)
        else:
            joined.append(Span(offset, length, {name: (0, length)}))
    return joined


class Window:
    """Reads small pieces of a file through pages that are fetched once.

    A page is fetched from the byte asked for, or up to the file's end where that is nearer, so that
    what lies together (a header; the end of a zip) takes one request.
    """

    PAGE_BYTES = 16 << 10

    def __init__(self, read: Callable[[int, int], bytes], file_bytes: int) -> None:
        self._read, self._file_bytes = read, file_bytes
        self._pages: list[tuple[int, bytes]] = []

    def read(self, offset: int, length: int) -> bytes:
        """`length` bytes from `offset`; the caller has checked that they are in the file."""
        for first, page in self._pages:
            if first <= offset and offset + length <= first + len(page):
                return page[offset - first : offset - first + length]
        first = max(0, min(offset, self._file_bytes - self.PAGE_BYTES))
        size = max(offset + length - first, self.PAGE_BYTES)
        page = self._read(first, min(size, self._file_bytes - first))
        self._pages.append((first, page))
        return page[offset - first : offset - first + length]
