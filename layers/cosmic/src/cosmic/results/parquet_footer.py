"""The footer of a Parquet file, taken apart and put together again.

A footer is a `FileMetaData` of Parquet's specification (apache/parquet-format, `parquet.thrift`) in
Thrift's compact protocol. Nothing is interpreted here but where a file's row groups begin and end
in it, and the few numbers that say where something lies in the file; all else is copied.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple, TypeAlias

BOOLEANS, BYTE, INTEGERS, DOUBLE, BINARY, LISTS, STRUCT = (1, 2), 3, (4, 5, 6), 7, 8, (9, 10), 12
LONG_LIST, STOP = 15, 0
NUM_ROWS, ROW_GROUPS = 3, 4  # fields of FileMetaData

Rules: TypeAlias = "Mapping[int, Callable[[int], int] | Rules]"


class Footer(NamedTuple):
    """A footer's parts, as bytes.

    Attributes:
        before: All before the list of row groups.
        groups: The row groups, one after another.
        groups_count: How many these are.
        after: All behind them.
    """

    before: bytes
    groups: bytes
    groups_count: int
    after: bytes


def taken_apart(footer: bytes, *, moved: int = 0, first: int = 0, rows: int = -1) -> Footer:
    """A footer's parts, of a file whose pages become part of a larger one.

    Args:
        footer: As it is in a file, without its length and the file's last bytes.
        moved: By how many bytes the pages lie farther behind in the larger file.
        first: Row groups that come before them there.
        rows: Of the larger file; -1: as many as the footer says.

    Raises:
        ValueError: it holds what no footer does.
    """

    def farther(place: int) -> int:
        return place + moved if place else 0  # pyarrow says 0 where nothing is

    def later(ordinal: int) -> int:
        return ordinal + first

    column: Rules = {2: farther, 3: {9: farther, 10: farther, 11: farther}}  # ColumnChunk
    group: Rules = {1: column, 5: farther, 7: later}  # RowGroup
    copier = _Copier(footer)
    for field, kind in copier.fields():
        if field == ROW_GROUPS:
            break
        copier.value(kind, (lambda n: n if rows < 0 else rows) if field == NUM_ROWS else None)
    before, count = copier.copied(), copier.list_head()[0]
    for _ in range(count):
        copier.value(STRUCT, group)
    return Footer(before, copier.copied(), count, copier.rest())


def put_together(groups: Sequence[Footer]) -> bytes:
    """The footer of a file with the row groups of all; all else is as the last has it."""
    last, count = groups[-1], sum(each.groups_count for each in groups)
    few = count < LONG_LIST
    head = bytes([count << 4 | STRUCT]) if few else bytes([0xF0 | STRUCT]) + _varint(count)
    return b"".join([last.before, head, *(each.groups for each in groups), last.after])


class _Copier:
    """Copies values of the compact protocol, some of them changed."""

    def __init__(self, source: bytes) -> None:
        self._source, self._at, self._out = source, 0, bytearray()

    def copied(self) -> bytes:
        """What was copied since this was asked last."""
        found, self._out = bytes(self._out), bytearray()
        return found

    def rest(self) -> bytes:
        """What has not been copied."""
        return self._source[self._at :]

    def fields(self) -> Iterator[tuple[int, int]]:
        """Number and kind of each field of a struct; who gets one copies its value."""
        field = 0
        while head := self._byte():
            self._out.append(head)
            field = field + (head >> 4) if head >> 4 else self._integer(None)
            yield field, head & 15
        self._out.append(STOP)

    def value(self, kind: int, rule: Callable[[int], int] | Rules | None) -> None:
        """Copy a value."""
        if kind in INTEGERS:
            self._integer(rule if callable(rule) else None)
        elif kind == BINARY:
            self._bytes(self._length())
        elif kind == STRUCT:
            rules = {} if rule is None or callable(rule) else rule
            for field, of in self.fields():
                self.value(of, rules.get(field))
        elif kind in LISTS:
            self._list(rule)
        elif kind in (BYTE, DOUBLE):
            self._bytes(1 if kind == BYTE else 8)
        elif kind not in BOOLEANS:  # these are in the head of their field
            raise ValueError(f"kind {kind} at byte {self._at} of a Parquet footer")

    def list_head(self) -> tuple[int, int]:
        """Number and kind of a list's elements, not copied."""
        head = self._byte()
        return (self._unsigned() if head >> 4 == LONG_LIST else head >> 4), head & 15

    def _list(self, rule: Callable[[int], int] | Rules | None) -> None:
        start = self._at
        count, kind = self.list_head()
        self._out += self._source[start : self._at]
        for _ in range(count):
            self.value(BYTE if kind in BOOLEANS else kind, rule)

    def _integer(self, rule: Callable[[int], int] | None) -> int:
        number = self._unsigned()
        value = number >> 1 ^ -(number & 1)
        changed = rule(value) if rule else value
        self._out += _varint(changed << 1 if changed >= 0 else ~changed << 1 | 1)
        return changed

    def _length(self) -> int:
        length = self._unsigned()
        self._out += _varint(length)
        return length

    def _bytes(self, count: int) -> None:
        self._check(count)
        self._out += self._source[self._at : self._at + count]
        self._at += count

    def _check(self, count: int) -> None:
        if self._at + count > len(self._source):
            raise ValueError("a Parquet footer that is cut off")

    def _unsigned(self) -> int:
        number = shift = 0
        while (byte := self._byte()) & 0x80:
            number |= (byte & 0x7F) << shift
            shift += 7
        return number | byte << shift

    def _byte(self) -> int:
        self._check(1)
        self._at += 1
        return self._source[self._at - 1]


def _varint(number: int) -> bytes:
    made = bytearray()
    while number > 0x7F:
        made.append(number & 0x7F | 0x80)
        number >>= 7
    made.append(number)
    return bytes(made)
