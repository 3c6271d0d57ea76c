"""What a run will do that is billed by number: invocations, transitions, requests to S3.

It is counted from how rows are shared and read, so it is known before anything has been measured.
It covers what the bill counts: ranks, and `aggregate` up to the bill. Retries, rows that move to
another rank and requests that break off are additional.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cosmic.contracts.catalogue_columns import row_dtype
from cosmic.contracts.columns import COLUMNS, TEXT_ID
from cosmic.contracts.engines import Architecture
from cosmic.contracts.plan import gathers
from cosmic.contracts.shard import PIECE_ROWS
from cosmic.costs.bill import Billed, Line, Usage, counted_lines, transitions
from cosmic.data.blocks import BLOCK_BYTES
from cosmic.data.ranges import PART_BYTES, spans
from cosmic.storage.parts import PART_BYTES as PART_BYTES_OF_RESULTS

READS_PER_RANK = 1  # the plan
WRITES_PER_RANK = 2  # shard and record
READS_OF_AGGREGATE = 3  # status, plan, what rank 0 reduced; then records, shards or gathered rows
WRITES_OF_AGGREGATE = 1  # it lists the failures; then the parts of a large catalogue
PARQUET_ROW_BYTES = 41  # as measured on simulated columns
CATALOGUE_ROW_BYTES = (row_dtype(None).itemsize, PARQUET_ROW_BYTES)

Whole = NDArray[np.int64]


@dataclass(frozen=True)
class Job:
    """What is to be done.

    Attributes:
        rows: Total number of rows.
        row_bytes: Size of one row in its partition, with all columns.
        id_bytes: How many of them are its id's, if ids are text; None: ids are whole numbers.
        cold: Whether all environments have yet to start.
        channel: FMI's channel, or `none`; ranks that talk leave together.
        fmi_timeout_s: How long a rank waits for others.
        partitions: Rows taken from each partition, if the data exist already; None: the
            partitions are equal, of a size that is free to choose.
    """

    rows: int
    row_bytes: int
    cold: bool = True
    channel: str = "direct"
    fmi_timeout_s: float = 60.0
    partitions: tuple[int, ...] | None = None
    id_bytes: int | None = None

    def sizes(self, partition_rows: int) -> Whole:
        """Rows of each partition (P,), equal ones (the last shorter) of `partition_rows`."""
        if self.partitions is not None:
            return np.array([n for n in self.partitions if n], np.int64)
        whole, rest = divmod(self.rows, partition_rows)
        return np.array([partition_rows] * whole + [rest] * bool(rest), np.int64)


@dataclass(frozen=True, order=True)
class Configuration:
    """How it is done.

    Attributes:
        memory_mb: Memory of a rank's function.
        world_size: Number of ranks.
        batch_size: Rows that the model takes at a time.
        partition_rows: Rows of a partition, of the largest if they differ.
        architecture: Architecture of the processor that ranks run on.
    """

    memory_mb: int
    world_size: int
    batch_size: int
    partition_rows: int
    architecture: Architecture = "x86_64"


class Shares(NamedTuple):
    """What each rank gets, as `cosmic.contracts.plan.share_rows` cuts.

    Attributes:
        batches: Batches of each rank, int64 (world,); they differ by 1 at most.
        partitions: Partitions that each rank reads from, int64 (world,).
    """

    batches: Whole
    partitions: Whole


class Counts(NamedTuple):
    """What is billed by number."""

    invocations: int
    transitions: int
    s3_gets: int
    s3_puts: int

    def usage(self, x86_64: Billed = (), arm64: Billed = ()) -> Usage:
        """The same with the time that was or will be billed, by architecture."""
        return Usage(x86_64, self.transitions, self.s3_puts, self.s3_gets, arm64)

    def lines(self) -> list[Line]:
        """The bill's lines for these counts; the line for the duration is not included."""
        return counted_lines(self.invocations, self.usage())


def shares(job: Job, how: Configuration) -> Shares:
    """Share the batches of all partitions among the ranks."""
    ends = np.cumsum(-(-job.sizes(how.partition_rows) // how.batch_size))
    cuts = int(ends[-1]) * np.arange(how.world_size + 1, dtype=np.int64) // how.world_size
    batches = np.diff(cuts)
    first = np.searchsorted(ends, cuts[:-1], side="right")
    last = np.searchsorted(ends, cuts[1:] - 1, side="right")
    return Shares(batches, np.where(batches > 0, last - first + 1, 0))


def count(job: Job, how: Configuration, environments: int) -> Counts:
    """What a run will do.

    Args:
        job: What is to be done.
        how: In which configuration.
        environments: How many its ranks run in; each that starts cold reads the checkpoint.
    """
    world = how.world_size
    gathered = gathers(job.channel, job.rows)
    reads = row_reads(job, how) + READS_PER_RANK * world
    reads += environments if job.cold else 0
    written_by_rank_0 = 0 if job.channel == "none" else 1 + gathered
    return Counts(
        invocations=world + 1,
        transitions=transitions(world),
        s3_gets=reads + reads_of_aggregate(world, gathered=job.rows if gathered else 0),
        s3_puts=WRITES_PER_RANK * world + written_by_rank_0 + writes_of_aggregate(job.rows),
    )


def reads_of_aggregate(world_size: int, *, gathered: int) -> int:
    """Requests of `aggregate` until the bill: what it always reads, the records, and the rows.

    Args:
        world_size: Number of ranks.
        gathered: Rows that rank 0 gathered, which are read in pieces; 0: each shard is read.
    """
    pieces = math.ceil(gathered / PIECE_ROWS)
    return READS_OF_AGGREGATE + world_size + (pieces or world_size)


def writes_of_aggregate(rows: int) -> int:
    """Writes and lists of `aggregate` until the bill: files of more than two parts go ahead of it.

    Each of these takes one request per part, one to begin, and one to look for earlier leftovers.
    """
    sizes = (rows * row_bytes for row_bytes in CATALOGUE_ROW_BYTES)
    parts = [size // PART_BYTES_OF_RESULTS for size in sizes]
    return WRITES_OF_AGGREGATE + sum(2 + n for n in parts if n >= 2)


def row_reads(job: Job, how: Configuration) -> int:
    """Requests of all ranks for the headers and rows of partitions.

    How many a block takes depends on how far apart its columns are, and so on the size of its
    partition; the mean size stands for all. A rank that continues in another partition has one more
    block.
    """
    of_ranks, partitions = shares(job, how), job.sizes(how.partition_rows)
    partition = round(job.rows / len(partitions))
    batch = job.rows / int(of_ranks.batches.sum())  # less than `batch_size`, for the last ones
    sizes, how_many = np.unique(of_ranks.batches, return_counts=True)
    largest = max(1, BLOCK_BYTES // (how.batch_size * job.row_bytes))
    row = job.row_bytes, job.id_bytes
    rows = sum(
        int(ranks) * many * reads_of_block(round(size * batch), partition, *row)
        for batches, ranks in zip(sizes, how_many, strict=True)
        for size, many in blocks(int(batches), largest)
    )
    touched, busy = int(of_ranks.partitions.sum()), int(np.count_nonzero(of_ranks.batches))
    another = reads_of_block(1, partition, *row)
    return rows + touched + (touched - busy) * another


@lru_cache(maxsize=1 << 16)
def reads_of_block(
    rows: int, partition_rows: int, row_bytes: int, id_bytes: int | None = None
) -> int:
    """Requests for a block in the middle of a native partition, as `spans` joins its columns."""
    start = max(0, partition_rows - rows) // 2
    rows, offset, ranges = min(rows, partition_rows), 0, {}
    for name, column_bytes in _columns(row_bytes, id_bytes):
        ranges[name] = (offset + start * column_bytes, rows * column_bytes)
        offset += partition_rows * column_bytes
    return sum(math.ceil(span.length / PART_BYTES) for span in spans(ranges))


def _columns(row_bytes: int, id_bytes: int | None) -> Iterator[tuple[str, int]]:
    """Names and bytes per row of a partition's columns, as they follow each other in the file.

    The safetensors library sorts them by dtype, the widest first, then by name.
    """
    columns = COLUMNS if id_bytes is None else {**COLUMNS, "object_id": TEXT_ID}
    fixed = {
        name: column.dtype.itemsize * math.prod(n or 1 for n in column.row_shape)
        for name, column in sorted(columns.items(), key=lambda c: (-c[1].dtype.itemsize, c[0]))
    }
    fixed["object_id"] = id_bytes or fixed["object_id"]
    image = row_bytes - sum(size for name, size in fixed.items() if name != "image")
    for name, size in fixed.items():
        yield name, max(1, image) if name == "image" else size


def blocks(batches: int, largest: int) -> Iterator[tuple[int, int]]:
    """Batches of a block, and how many such blocks follow each other, as `pieces` cuts one slice.

    Blocks grow to the largest, stay there, and shrink; those in between are counted at once.
    """
    done = 0
    while done < batches:
        left = batches - done
        size = min(largest, done + 1, (left + 1) // 2)
        steady = (left - 2 * largest) // largest if size == largest else 0
        yield size, max(1, steady)
        done += size * max(1, steady)


def as_dict(counts: Counts) -> dict[str, Any]:
    """As JSON."""
    return dict(counts._asdict())
