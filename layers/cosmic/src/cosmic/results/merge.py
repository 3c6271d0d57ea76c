"""Shards become rows in the order of the plan; a few shards are in memory at a time."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any

import numpy as np
import pyarrow as pa

from cosmic.contracts.arrow_values import values_of
from cosmic.contracts.catalogue_columns import Rows
from cosmic.contracts.catalogue_schema import quantiles_of, redshifts_of
from cosmic.contracts.layout import RunFolder
from cosmic.contracts.location import Location
from cosmic.contracts.plan import Plan, RankPlan
from cosmic.contracts.rank_record import RankRecord
from cosmic.contracts.shard import read_shard
from cosmic.errors import InputError
from cosmic.metrics.photo_z import PhotoZ
from cosmic.metrics.pz import PzStatistics
from cosmic.metrics.statistics import Statistics
from cosmic.report.cells import MagnitudeCounts, SkyCounts
from cosmic.report.cutout_choice import CutoutChoice
from cosmic.report.flagged import FlaggedRows
from cosmic.report.redshift_counts import RedshiftCounts
from cosmic.results.catalogue_files import CatalogueWriter, row_groups
from cosmic.results.collective import CollectiveRecord
from cosmic.storage.interfaces import Readable

AHEAD_SHARDS = 4
AHEAD_ROWS = 131_072


@dataclass(frozen=True)
class RankRows:
    """A rank's rows, or why there are none."""

    rank: int
    rows: Rows | None
    reason: str = ""


def gathered_rows(
    store: Readable,
    folder: RunFolder,
    plan: Plan,
    records: Sequence[RankRecord],
    collective: CollectiveRecord,
) -> Iterator[RankRows] | None:
    """All ranks' rows from the one object that rank 0 wrote, if it holds exactly the shards."""
    if collective.shard_sha256 != tuple(r.shard_sha256 for r in records):
        return None
    rows = _read(store, folder.gathered, plan, collective.gathered_sha256)
    if isinstance(rows, str) or len(rows) != plan.rows:
        return None
    ends = accumulate(rank.rows for rank in plan.ranks)
    return (
        _checked(rank, rows[end - rank.rows : end])
        for rank, end in zip(plan.ranks, ends, strict=True)
    )


def shard_rows(
    store: Readable,
    folder: RunFolder,
    plan: Plan,
    records: Sequence[RankRecord],
    first: int = 0,
) -> Generator[RankRows, None, None]:
    """Each rank's rows from its shard, in rank order, but for those that its record speaks against.

    The shards that follow are read meanwhile.
    """
    wanted = {record.rank: record.shard_sha256 for record in records}
    waiting: deque[tuple[RankPlan, Future[RankRows]]] = deque()
    with ThreadPoolExecutor(AHEAD_SHARDS) as pool:
        for rank in plan.ranks[first:]:
            while waiting and not _has_room(waiting, rank):
                yield waiting.popleft()[1].result()
            sha256 = wanted.get(rank.rank)
            coming = pool.submit(_rows_of_shard, store, folder, plan, rank, sha256)
            waiting.append((rank, coming))
        while waiting:
            yield waiting.popleft()[1].result()


def _has_room(waiting: Sequence[tuple[RankPlan, Any]], another: RankPlan) -> bool:
    """Whether one more shard may be in memory."""
    rows = another.rows + sum(rank.rows for rank, _ in waiting)
    return len(waiting) < AHEAD_SHARDS and rows <= AHEAD_ROWS


def _rows_of_shard(
    store: Readable, folder: RunFolder, plan: Plan, rank: RankPlan, sha256: str | None
) -> RankRows:
    rows = _read(store, folder.shard(rank.rank, plan.world_size), plan, sha256)
    return RankRows(rank.rank, None, rows) if isinstance(rows, str) else _checked(rank, rows)


def _read(store: Readable, at: Location, plan: Plan, sha256: str | None) -> Rows | str:
    """Catalogue rows in an object, if it has this checksum where one is known; else why not."""
    try:
        data = store.get(at)
    except InputError as error:
        return f"no shard ({error.code})"
    if sha256 not in (None, hashlib.sha256(data).hexdigest()):
        return f"{at.uri} is damaged: it has not the checksum that it was written with"
    try:
        return read_shard(data, plan.id_bytes, plan.model.bands)
    except ValueError as error:
        return f"{at.uri} is no shard: {error}"


def _checked(rank: RankPlan, rows: Rows) -> RankRows:
    """Compare the rows' identity with the plan: each planned row once, in order."""
    found = np.stack([rows["partition"], rows["row"]])
    if np.array_equal(found, planned_rows(rank)):
        return RankRows(rank.rank, rows)
    return RankRows(rank.rank, None, f"the shard's {len(rows)} rows are not those planned")


def planned_rows(rank: RankPlan) -> np.ndarray[tuple[int, int], np.dtype[np.int64]]:
    """Partition and row of each of the rank's rows, int64 (2, N)."""
    parts = [
        np.stack([np.full(s.stop - s.start, s.partition), np.arange(s.start, s.stop)])
        for s in rank.slices
    ]
    return np.concatenate([np.empty((2, 0), np.int64), *parts], axis=1)


@dataclass
class Merged:
    """What the merge counted; none of it grows with the rows.

    Attributes:
        rows: Rows that are in the catalogue.
        rows_unpredicted: Of these, those without a finite prediction.
        photo_z: Their metrics.
        statistics: What FMI should have reduced of them.
        counts: Their redshifts, for the page.
    """

    rows: int = 0
    rows_unpredicted: int = 0
    rows_flagged: int = 0
    missing: list[dict[str, Any]] = field(default_factory=list)
    photo_z: PhotoZ = field(default_factory=PhotoZ)
    statistics: Statistics = field(default_factory=Statistics.none)
    counts: RedshiftCounts = field(default_factory=RedshiftCounts)
    flagged: FlaggedRows = field(default_factory=FlaggedRows)
    sky: SkyCounts = field(default_factory=SkyCounts)
    magnitudes: MagnitudeCounts = field(default_factory=MagnitudeCounts)
    cutouts: CutoutChoice = field(default_factory=CutoutChoice)
    pz: PzStatistics = field(default_factory=PzStatistics)

    def see(self, table: pa.Table) -> None:
        """Count a group of rows."""
        self.flagged.see(table)
        self.sky.see(table)
        self.rows += table.num_rows
        self.rows_unpredicted += table["z_phot"].null_count
        self.rows_flagged += int(np.count_nonzero(values_of(table["flags"])))
        z_phot, z_spec, mag_r = redshifts_of(table)
        self.photo_z.see(z_phot, z_spec, mag_r)
        self.statistics += Statistics.of(z_phot, z_spec)
        self.counts.see(z_phot, z_spec)
        self.magnitudes.see(z_phot, mag_r)
        self.cutouts.see(table, z_phot, z_spec)
        self.pz.see(quantiles_of(table), z_spec)


def merge_rows(ranks: Iterable[RankRows], writer: CatalogueWriter, plan: Plan) -> Merged:
    """Write the ranks' rows to the catalogue, and count them.

    They are counted in the groups in which they are written, so that sums don't depend on ranks.
    """
    merged = Merged()
    for group in row_groups(_present(ranks, plan, merged)):
        writer.write(group)
        merged.see(group)
    return merged


def _present(ranks: Iterable[RankRows], plan: Plan, merged: Merged) -> Iterator[Rows]:
    """The rows that are there; notes those that are missing."""
    for rank in ranks:
        if rank.rows is not None:
            yield rank.rows
        else:
            rows = plan.ranks[rank.rank].rows
            merged.missing.append({"rank": rank.rank, "rows": rows, "reason": rank.reason})
