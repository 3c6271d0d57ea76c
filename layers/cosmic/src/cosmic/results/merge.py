"""Shards become one table of rows in the order of the plan, one shard in memory at a time."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from cosmic.contracts.catalogue_schema import quantiles_of, redshifts_of, schema_of
from cosmic.contracts.layout import RunFolder
from cosmic.contracts.location import Location
from cosmic.contracts.plan import Plan, RankPlan
from cosmic.contracts.rank_record import RankRecord
from cosmic.errors import InputError
from cosmic.metrics.pz import PzStatistics
from cosmic.report.cells import SkyCounts
from cosmic.report.flagged import FlaggedRows
from cosmic.results.catalogue_files import CatalogueWriter
from cosmic.results.collective import CollectiveRecord
from cosmic.storage.objects import Store


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
    table = _read_table(store, folder.gathered, schema_of(plan.id_bytes))
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
        at = folder.shard(rank.rank, plan.world_size)
        table = _read_table(store, at, schema_of(plan.id_bytes))
        if isinstance(table, str):
            yield RankRows(rank.rank, None, table)
        else:
            yield _checked(rank, table)


def _read_table(store: Store, at: Location, schema: pa.Schema) -> pa.Table | str:
    try:
        data = store.get(at)
        return pq.read_table(io.BytesIO(data), schema=schema)
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


@dataclass
class Merged:
    """What the merge counted.

    Attributes:
        rows: Rows that are in the catalogue.
        rows_unpredicted: Of these, those without a finite prediction.
    """

    rows: int = 0
    rows_unpredicted: int = 0
    rows_flagged: int = 0
    missing: list[dict[str, Any]] = field(default_factory=list)
    redshifts: list[NDArray[np.float32]] = field(default_factory=list)
    flagged: FlaggedRows = field(default_factory=FlaggedRows)
    sky: SkyCounts = field(default_factory=SkyCounts)
    pz: PzStatistics = field(default_factory=PzStatistics)


def merge_rows(ranks: Iterable[RankRows], writer: CatalogueWriter, plan: Plan) -> Merged:
    """Write the ranks' rows to the catalogue, and count them."""
    merged = Merged()
    for rank in ranks:
        if rank.table is None:
            rows = plan.ranks[rank.rank].rows
            merged.missing.append({"rank": rank.rank, "rows": rows, "reason": rank.reason})
            continue
        writer.write(rank.table)
        merged.flagged.see(rank.table)
        merged.sky.see(rank.table)
        flags = rank.table["flags"].to_numpy()
        merged.rows += len(flags)
        merged.rows_unpredicted += rank.table["z_phot"].null_count
        merged.rows_flagged += int(np.count_nonzero(flags))
        redshifts = redshifts_of(rank.table)
        merged.redshifts.append(redshifts)
        merged.pz.see(quantiles_of(rank.table), redshifts[1])
    return merged
