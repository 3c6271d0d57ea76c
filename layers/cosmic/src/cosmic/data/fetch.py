"""Rows of one partition over several connections, checked against its checksums."""

from __future__ import annotations

import zlib
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Lock
from typing import Any

from numpy.typing import NDArray

from cosmic.contracts.columns import Header
from cosmic.contracts.location import Location
from cosmic.contracts.plan import PlannedPartition
from cosmic.data.busy_clock import BusyClock
from cosmic.data.page_memory import page_memory
from cosmic.data.ranges import Span, spans
from cosmic.errors import CosmicError, InputError, TransientError
from cosmic.storage.interfaces import Readable

CONNECTIONS = 8
CHECKSUM_ATTEMPTS = 3


class Fetcher:
    """Reads row ranges; safe to use from several threads.

    Attributes:
        bytes_read: Bytes that came over the network.
        clock: When at least one range was on its way.
    """

    def __init__(self, store: Readable) -> None:
        self._store = store
        self._lock = Lock()
        self.bytes_read = 0
        self.clock = BusyClock()

    def rows(
        self,
        planned: PlannedPartition,
        header: Header,
        start: int,
        stop: int,
        connections: ThreadPoolExecutor,
    ) -> dict[str, NDArray[Any]]:
        """The rows from `start` up to and without `stop`, by column, as stored.

        Raises:
            InputError: the partition is gone, has changed since the run was planned, or its rows
                don't have the checksums that its header gives, and are the same each time.
            TransientError: S3 failed, or the rows are damaged otherwise each time.
        """
        first, end = whole_checksums(header, start, stop)
        seen = set()
        for _ in range(CHECKSUM_ATTEMPTS):
            found = self._read(planned, header, first, end, connections)
            damaged = damaged_columns(header, found, first, end)
            if not damaged:
                break
            seen.add(tuple(zlib.crc32(data) for data in found.values()))
        else:
            at = Location(planned.bucket, planned.key)
            what = (
                f"{at.uri}: rows {first} to {end} of {', '.join(damaged)} don't have the checksum"
            )
            raise _bad_checksum(what, on_the_way=len(seen) > 1)
        rows = slice(start - first, stop - first)
        return {name: header.tensors[name].rows(data)[rows] for name, data in found.items()}

    def _read(
        self,
        planned: PlannedPartition,
        header: Header,
        first: int,
        end: int,
        connections: ThreadPoolExecutor,
    ) -> dict[str, memoryview]:
        ranges = {n: t.byte_range(first, end) for n, t in header.tensors.items()}
        read = spans(ranges)
        targets = [page_memory(span.length) for span in read]
        parts = [
            connections.submit(self._read_part, planned, span, at, target[at : at + length])
            for span, target in zip(read, targets, strict=True)
            for at, length in span.parts()
        ]
        _wait_for(parts)
        return {
            name: target[at : at + length]
            for span, target in zip(read, targets, strict=True)
            for name, (at, length) in span.ranges.items()
        }

    def _read_part(
        self, planned: PlannedPartition, span: Span, at: int, target: memoryview
    ) -> None:
        where = Location(planned.bucket, planned.key)
        with self.clock.running():
            self._store.read_into(target, where, span.offset + at, etag=planned.etag)
        with self._lock:
            self.bytes_read += len(target)


def _bad_checksum(what: str, *, on_the_way: bool) -> CosmicError:
    """Bytes that differ each time they are read are damaged on their way, not where they are."""
    message = f"{what} that its header gives"
    if on_the_way:
        return TransientError(f"{message}, and differ each time they are read", code="bad-checksum")
    return InputError(message, code="bad-checksum", hint="upload the partition again")


def _wait_for(parts: list[Future[None]]) -> None:
    try:
        for part in parts:
            part.result()
    finally:
        for part in parts:
            part.cancel()


def whole_checksums(header: Header, start: int, stop: int) -> tuple[int, int]:
    """The fewest rows around these of which every checksum is known: first, and one past last."""
    if header.checksums is None:
        return start, stop
    step = header.checksums.rows
    return start // step * step, min(-(-stop // step) * step, header.rows)


def damaged_columns(
    header: Header, found: dict[str, memoryview], first: int, end: int
) -> list[str]:
    """The columns whose bytes of the rows `first` to `end` don't have their checksums."""
    if header.checksums is None:
        return []
    step = header.checksums.rows
    damaged = []
    for name, data in found.items():
        size = step * header.tensors[name].row_bytes
        expected = header.checksums.values[name][first // step : -(-end // step)]
        got = [zlib.crc32(data[at : at + size]) for at in range(0, len(data), size)]
        if tuple(got) != expected:
            damaged.append(name)
    return damaged
