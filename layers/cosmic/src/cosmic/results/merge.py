"""Shards become one table of rows in the order of the plan, one shard in memory at a time."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import Field, TypeAdapter

from cosmic.contracts.catalogue_schema import SCHEMA
from cosmic.contracts.layout import RunFolder
from cosmic.contracts.location import Location
from cosmic.contracts.manifest import Contract
from cosmic.contracts.plan import Plan, RankPlan
from cosmic.contracts.rank_record import RankRecord
from cosmic.errors import InputError
from cosmic.metrics.statistics import Statistics
from cosmic.storage.objects import Store


class CollectiveRecord(Contract):
    """What rank 0 knows after the closing collective.

    Attributes:
        reduced: The sums over all ranks, as `Statistics.named` gives them.
        dz_counts: The histogram, as `Statistics.counts` gives it.
        shard_sha256: Of each rank's shard as it was gathered, by rank; empty if none were.
    """

    version: int = 2
    reduced: dict[str, float]
    dz_counts: dict[int, int] = Field(strict=False)
    shard_sha256: tuple[str, ...] = Field(strict=False)

    @property
    def statistics(self) -> Statistics:
        """The statistics of all ranks' rows, as FMI added them up."""
        return Statistics.restored(self.reduced, self.dz_counts)


_ADAPTER = TypeAdapter(CollectiveRecord)


def parse_collective(text: bytes) -> CollectiveRecord:
    """Read what rank 0 wrote.

    Raises:
        pydantic.ValidationError: the text is not such a record.
    """
    return _ADAPTER.validate_json(text)


def write_gathered(
    store: Store, folder: RunFolder, statistics: Statistics, shards: Sequence[bytes]
) -> None:
    """Write what rank 0 gathered: all rows as one object, then the record that vouches for it."""
    if shards:
        out = io.BytesIO()
        with pq.ParquetWriter(out, SCHEMA) as writer:
            for shard in shards:
                writer.write_table(pq.read_table(io.BytesIO(shard)))
        store.put(folder.gathered, out.getvalue())
    digests = tuple(hashlib.sha256(shard).hexdigest() for shard in shards)
    record = CollectiveRecord(
        reduced=statistics.named(), dz_counts=statistics.counts(), shard_sha256=digests
    )
    store.put(folder.collective, record.model_dump_json(indent=1).encode(), "application/json")


@dataclass(frozen=True)
class RankRows:
    """A rank's rows, or why there are none."""

    rank: int
    table: pa.Table | None
    reason: str = ""


def gathered_rows(
    store: Store,
    folder: RunFolder,
    plan: Plan,
    records: Sequence[RankRecord],
    collective: CollectiveRecord,
) -> list[RankRows] | None:
    """All ranks' rows from the one object that rank 0 wrote, if it holds exactly the shards."""
    if collective.shard_sha256 != tuple(r.shard_sha256 for r in records):
        return None
    table = _read_table(store, folder.gathered)
    if isinstance(table, str) or table.num_rows != plan.rows:
        return None
    ends = np.cumsum([rank.rows for rank in plan.ranks]).tolist()
    return [
        _checked(rank, table.slice(end - rank.rows, rank.rows))
        for rank, end in zip(plan.ranks, ends, strict=True)
    ]


def shard_rows(store: Store, folder: RunFolder, plan: Plan) -> Iterator[RankRows]:
    """Each rank's rows from its shard, in rank order."""
    for rank in plan.ranks:
        table = _read_table(store, folder.shard(rank.rank, plan.world_size))
        if isinstance(table, str):
            yield RankRows(rank.rank, None, table)
        else:
            yield _checked(rank, table)


def _read_table(store: Store, at: Location) -> pa.Table | str:
    try:
        data = store.get(at)
        return pq.read_table(io.BytesIO(data), schema=SCHEMA)
    except InputError as error:
        return f"no shard ({error.code})"
    except pa.ArrowException as error:
        return f"{at.uri} is no shard: {error}"


def _checked(rank: RankPlan, table: pa.Table) -> RankRows:
    """Compare the rows' identity with the plan: each planned row once, in order."""
    found = np.stack([table["partition"].to_numpy(), table["row"].to_numpy()])
    if np.array_equal(found, planned_rows(rank)):
        return RankRows(rank.rank, table)
    return RankRows(rank.rank, None, f"the shard's {table.num_rows} rows are not those planned")


def planned_rows(rank: RankPlan) -> np.ndarray[tuple[int, int], np.dtype[np.int64]]:
    """Partition and row of each of the rank's rows, int64 (2, N)."""
    parts = [
        np.stack([np.full(s.stop - s.start, s.partition), np.arange(s.start, s.stop)])
        for s in rank.slices
    ]
    return np.concatenate([np.empty((2, 0), np.int64), *parts], axis=1)
