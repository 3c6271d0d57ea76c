"""Rows of a rank in blocks: the next block is read while the present one is computed."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cosmic.errors import InvalidInput
from cosmic.memory import BLOCK_BYTES
from cosmic.partitions.native import Header, read_header
from cosmic.plan import PlannedPartition, Slice
from cosmic.store import Location, Store

CONNECTIONS = 8


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


@dataclass
class BlockReader:
    """Reads slices of partitions block by block, with one block read ahead.

    Attributes:
        bytes_read: Bytes of rows that came over the network.
        wait_s: Time the caller stood still waiting for a block.
        first_byte_at_s: When the first block was there, seconds since 1970.
    """

    store: Store
    partitions: Sequence[PlannedPartition]
    batch_size: int
    bytes_read: int = 0
    wait_s: float = 0.0
    first_byte_at_s: float | None = None
    _headers: dict[int, Header] = field(default_factory=dict)

    def blocks(self, slices: Sequence[Slice]) -> Generator[Block, None, None]:
        """The rows of the slices, in order.

        Raises:
            InvalidInput: a partition is not what the plan says.
            InputError: a partition is gone or has changed since the run was planned.
            TransientError: S3 failed.
        """
        with ThreadPoolExecutor(1) as ahead, ThreadPoolExecutor(CONNECTIONS) as connections:
            pending: Future[Block] | None = None
            try:
                for piece in self._pieces(slices):
                    following = ahead.submit(self._read, piece, connections)
                    if pending is not None:
                        yield self._await(pending)
                    pending = following
                if pending is not None:
                    yield self._await(pending)
            finally:
                ahead.shutdown(cancel_futures=True)

    def facts(self) -> dict[str, Any]:
        """A record's fields about reading."""
        return {
            "bytes_read": self.bytes_read,
            "read_wait_s": self.wait_s,
            "first_byte_at_s": self.first_byte_at_s,
        }

    def _pieces(self, slices: Sequence[Slice]) -> Iterator[Slice]:
        for piece in slices:
            step = self._block_rows(self.partitions[piece.partition].row_bytes)
            for start in range(piece.start, piece.stop, step):
                yield Slice(
                    partition=piece.partition, start=start, stop=min(start + step, piece.stop)
                )

    def _block_rows(self, row_bytes: int) -> int:
        return max(1, BLOCK_BYTES // (row_bytes * self.batch_size)) * self.batch_size

    def _await(self, block: Future[Block]) -> Block:
        began = time.monotonic()
        ready = block.result()
        self.wait_s += time.monotonic() - began
        self.first_byte_at_s = self.first_byte_at_s or time.time()
        return ready

    def _read(self, piece: Slice, connections: ThreadPoolExecutor) -> Block:
        planned = self.partitions[piece.partition]
        at = Location(planned.bucket, planned.key)
        tensors = self._header(piece.partition).tensors
        ranges = {n: t.byte_range(piece.start, piece.stop) for n, t in tensors.items()}
        parts = {
            name: connections.submit(self.store.get_range, at, *where, etag=planned.etag)
            for name, where in ranges.items()
        }
        columns = {
            name: np.frombuffer(part.result(), tensors[name].dtype).reshape(
                piece.stop - piece.start, *tensors[name].shape[1:]
            )
            for name, part in parts.items()
        }
        self.bytes_read += sum(length for _, length in ranges.values())
        return Block(piece.partition, piece.start, columns)

    def _header(self, partition: int) -> Header:
        if partition not in self._headers:
            planned = self.partitions[partition]
            at = Location(planned.bucket, planned.key)
            header = read_header(
                lambda offset, length: self.store.get_range(at, offset, length, etag=planned.etag),
                planned.bytes,
                at.uri,
            )
            if not isinstance(header, Header):
                raise InvalidInput(header)
            self._headers[partition] = header
        return self._headers[partition]
