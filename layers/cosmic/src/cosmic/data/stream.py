"""Rows of a rank in blocks: the next ones are read while the present one is computed."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import wait as wait_for
from dataclasses import dataclass, field
from threading import Lock
from typing import Any, Self

from numpy.typing import NDArray

from cosmic.contracts.columns import Header, completed
from cosmic.contracts.location import Location
from cosmic.contracts.plan import PlannedPartition, Slice
from cosmic.contracts.rank_record import ReadingPart
from cosmic.contracts.text_ids import check_ids
from cosmic.data.blocks import AHEAD_BYTES, BLOCK_BYTES
from cosmic.data.fetch import CONNECTIONS, Fetcher
from cosmic.data.formats import read_header
from cosmic.errors import InvalidInput
from cosmic.storage.interfaces import Readable

BLOCKS_AT_ONCE = 2  # so that connections never idle between the end of one and the next


@dataclass(frozen=True)
class Block:
    """Consecutive rows of one partition, by column; `start` is the first one's index in it."""

    partition: int
    start: int
    columns: dict[str, NDArray[Any]]

    @property
    def rows(self) -> int:
        """Number of rows."""
        return len(self.columns["object_id"])

    def batches(self, batch_size: int) -> Iterator[tuple[NDArray[Any], NDArray[Any]]]:
        """Images (B, 5, H, W) and magnitudes (B, 5) of the block's batches, in order."""
        for at in range(0, self.rows, batch_size):
            part = slice(at, at + batch_size)
            yield self.columns["image"][part], self.columns["mag"][part]


Partitions = Sequence[PlannedPartition] | Mapping[int, PlannedPartition]


@dataclass
class BlockReader:
    """Reads slices of partitions block by block, some blocks ahead of the caller.

    Attributes:
        partitions: Those of the plan that it may be asked for, by their index there.
        wait_s: Time the caller stood still waiting for a block.
        first_byte_at_s: When the first block was there, seconds since 1970.
        first_block_s: How long a first block took to read, the partition's header included.
    """

    store: Readable
    partitions: Partitions
    batch_size: int
    wait_s: float = 0.0
    first_byte_at_s: float | None = None
    first_block_s: float = 0.0
    _fetcher: Fetcher = field(init=False)
    _headers: dict[int, Header] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)

    def __post_init__(self) -> None:
        self._fetcher = Fetcher(self.store)

    @property
    def bytes_read(self) -> int:
        """Bytes of rows that came over the network, small gaps between columns included."""
        return self._fetcher.bytes_read

    def blocks(self, slices: Sequence[Slice], *, ahead: bool = True) -> Stream:
        """The rows of the slices, in order; reading begins at once.

        Close what is returned, or use it in a `with`: it has threads.

        Args:
            slices: Of the partitions.
            ahead: Whether blocks are read before they are asked for; else the first alone is, until
                `Stream.read_ahead` is called.
        """
        return Stream(self, slices, ahead=ahead)

    def learn(self, partitions: Mapping[int, PlannedPartition]) -> None:
        """Know more partitions, by their index in the plan."""
        known = self.partitions
        pairs = known.items() if isinstance(known, Mapping) else enumerate(known)
        self.partitions = {**dict(pairs), **partitions}

    def facts(self) -> ReadingPart:
        """A record's fields about reading."""
        return {
            "bytes_read": self.bytes_read,
            "download_s": self._fetcher.clock.total.wall_s,
            "read_wait_s": self.wait_s,
            "first_byte_at_s": self.first_byte_at_s,
        }

    def waited(self, seconds: float, *, came: bool) -> None:
        """Count a wait for a block, and that it has come."""
        self.wait_s += seconds
        if came:
            self.first_byte_at_s = self.first_byte_at_s or time.time()

    def read(self, piece: Slice, connections: ThreadPoolExecutor) -> Block:
        """One block, read now.

        Raises:
            InvalidInput: a partition is not what the plan says.
            InputError: a partition is gone, has changed since the run was planned, or is damaged.
            TransientError: S3 failed.
        """
        began = time.monotonic()
        planned = self.partitions[piece.partition]
        header = self._header(piece.partition)
        columns = self._fetcher.rows(planned, header, piece.start, piece.stop, connections)
        self.first_block_s = self.first_block_s or time.monotonic() - began
        made = completed(columns, piece.partition, piece.start, len(header.bands))
        if header.id_bytes is not None:
            uri = Location(planned.bucket, planned.key).uri
            check_ids(made["object_id"], uri, piece.start)
        return Block(piece.partition, piece.start, made)

    def _header(self, partition: int) -> Header:
        with self._lock:
            if partition not in self._headers:
                self._headers[partition] = self._read_header(self.partitions[partition])
            return self._headers[partition]

    def _read_header(self, planned: PlannedPartition) -> Header:
        at = Location(planned.bucket, planned.key)

        def read(offset: int, length: int) -> bytes:
            with self._fetcher.clock.running():
                return self.store.get_range(at, offset, length, etag=planned.etag)

        header = read_header(planned.format, read, planned.bytes, at.uri)
        if not isinstance(header, Header):
            raise InvalidInput(header)
        return header


class Stream:
    """The blocks of some slices, in order: an iterator that reads ahead in threads.

    What has been read and not yet handed out, or is being read, is at most `AHEAD_BYTES` of rows,
    or one block if that is larger.
    """

    def __init__(self, reader: BlockReader, slices: Sequence[Slice], *, ahead: bool) -> None:
        self._reader, self._reads_ahead = reader, ahead
        self._left = deque(pieces(slices, reader.partitions, reader.batch_size))
        self._pending: deque[tuple[Slice, Future[Block]]] = deque()
        self._ahead = ThreadPoolExecutor(BLOCKS_AT_ONCE, "blocks")
        self._connections = ThreadPoolExecutor(CONNECTIONS, "ranges")
        self._submit()

    def __iter__(self) -> Self:
        """Itself."""
        return self

    def __next__(self) -> Block:
        """The next block; raises what `BlockReader.read` raises."""
        if not self._pending:
            self.close()
            raise StopIteration
        self.ready(None)
        block = self._pending[0][1].result()
        self._pending.popleft()
        self._submit()
        return block

    def ready(self, timeout_s: float | None) -> bool:
        """Wait at most so long; return whether the next block, or the end, is there."""
        if not self._pending:
            return True
        began = time.monotonic()
        came = bool(wait_for([self._pending[0][1]], timeout_s).done)
        self._reader.waited(time.monotonic() - began, came=came)
        return came

    def read_ahead(self) -> None:
        """Read blocks before they are asked for, from now on."""
        self._reads_ahead = True
        self._submit()

    def stop_before(self, first: Slice) -> None:
        """End where `first` begins: what follows need not be read, and what was is let go.

        The last block may go on beyond it, if its reading has begun.
        """
        while self._left and _place(self._left[-1]) >= _place(first):
            self._left.pop()
        if self._left and self._left[-1].partition == first.partition:
            last = self._left.pop()
            stop = min(last.stop, first.start)
            self._left.append(last.model_copy(update={"stop": stop}))
        while self._pending and _place(self._pending[-1][0]) >= _place(first):
            self._pending.pop()[1].cancel()

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()

    def close(self) -> None:
        """Stop reading and let the threads end."""
        self._left.clear()
        self._ahead.shutdown(cancel_futures=True)
        self._connections.shutdown(cancel_futures=True)
        self._pending.clear()

    def _submit(self) -> None:
        held = sum(self._bytes(piece) for piece, _ in self._pending)
        while self._left:
            piece = self._left[0]
            most = AHEAD_BYTES if self._reads_ahead else 0
            if self._pending and held + self._bytes(piece) > most:
                return
            self._left.popleft()
            held += self._bytes(piece)
            future = self._ahead.submit(self._reader.read, piece, self._connections)
            self._pending.append((piece, future))

    def _bytes(self, piece: Slice) -> int:
        return (piece.stop - piece.start) * self._reader.partitions[piece.partition].row_bytes


def _place(piece: Slice) -> tuple[int, int]:
    return piece.partition, piece.start


def pieces(slices: Sequence[Slice], partitions: Partitions, batch_size: int) -> Iterator[Slice]:
    """Cut slices into blocks of whole batches.

    The first are small, so that the model soon has something to do, and so are the last, so that it
    has little left to do when all is read; those between hold up to `BLOCK_BYTES`.
    """
    left = sum(-(-(s.stop - s.start) // batch_size) for s in slices)
    done = 0
    for s in slices:
        largest = max(1, BLOCK_BYTES // (partitions[s.partition].row_bytes * batch_size))
        start = s.start
        while start < s.stop:
            batches = min(largest, done + 1, (left + 1) // 2)
            stop = min(start + batches * batch_size, s.stop)
            yield Slice(partition=s.partition, start=start, stop=stop)
            taken = -(-(stop - start) // batch_size)
            start, done, left = stop, done + taken, left - taken
