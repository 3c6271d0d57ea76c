"""Shards become rows in the order of the plan; a few shards are in memory at a time."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import Any, NamedTuple, Self

import numpy as np
import pyarrow as pa

from cosmic.contracts.arrow_values import values_of
from cosmic.contracts.bands import Bands
from cosmic.contracts.catalogue_columns import Rows, row_dtype
from cosmic.contracts.catalogue_schema import quantiles_of, redshifts_of
from cosmic.contracts.layout import RunFolder
from cosmic.contracts.location import Location
from cosmic.contracts.plan import Plan, RankPlan
from cosmic.contracts.rank_record import RankRecord
from cosmic.contracts.shard import HEADER_BYTES, PIECE_ROWS, digest_of, read_shard
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


class Columns(NamedTuple):
    """Which columns a run's shards have.

    Attributes:
        id_bytes: Of the longest id if ids are text; None: they are whole numbers.
        bands: Of the run's model.
    """

    id_bytes: int | None
    bands: Bands

    @classmethod
    def of(cls, plan: Plan) -> Self:
        """Of a plan's run; all partitions are looked at for it."""
        return cls(plan.id_bytes, plan.model.bands)


def gathered_rows(
    store: Readable,
    folder: RunFolder,
    plan: Plan,
    records: Sequence[RankRecord],
    collective: CollectiveRecord,
) -> Iterator[RankRows] | None:
    """All ranks' rows from the one object that rank 0 wrote, if it was made of these shards.

    It is read in pieces of whole ranks, one ahead of the other. A rank's rows count if they have
    the checksum that its shard has; else the shard is read.
    """
    wanted = tuple(r.shard_sha256 for r in records)
    if collective.shard_sha256 != wanted or len(wanted) != plan.world_size:
        return None
    source = _Gathered(store, folder, Columns.of(plan), plan.world_size, wanted)
    return chain.from_iterable(_one_ahead(source.rows_of, _pieces(plan)))


class _Piece(NamedTuple):
    """Ranks whose rows lie one after another, from row `start` of all on."""

    start: int
    ranks: list[RankPlan]


def _pieces(plan: Plan) -> Iterator[_Piece]:
    start, piece = 0, _Piece(0, [])
    for rank in plan.ranks:
        if piece.ranks and start + rank.rows - piece.start > PIECE_ROWS:
            yield piece
            piece = _Piece(start, [])
        piece.ranks.append(rank)
        start += rank.rows
    yield piece


def _one_ahead(
    work: Callable[[_Piece], list[RankRows]], pieces: Iterator[_Piece]
) -> Generator[list[RankRows], None, None]:
    with ThreadPoolExecutor(1) as pool:
        coming = pool.submit(work, next(pieces))
        for piece in pieces:
            ready = coming.result()
            coming = pool.submit(work, piece)
            yield ready
            del ready  # not held while the next one is awaited
        yield coming.result()


@dataclass(frozen=True)
class _Gathered:
    """The object with all ranks' rows, and the shards that it was made of."""

    store: Readable
    folder: RunFolder
    columns: Columns
    world_size: int
    wanted: tuple[str, ...]

    def rows_of(self, piece: _Piece) -> list[RankRows]:
        """The rows of these ranks."""
        kind = row_dtype(*self.columns)
        offset = HEADER_BYTES + piece.start * kind.itemsize
        length = sum(rank.rows for rank in piece.ranks) * kind.itemsize
        try:
            data = self.store.get_range(self.folder.gathered, offset, length, etag="")
        except InputError:
            data = bytes(length)  # of which no checksum is right
        rows, at, found = np.frombuffer(data, kind), 0, []
        for rank in piece.ranks:
            found.append(self._whole(rank, rows[at : at + rank.rows]))
            at += rank.rows
        return found

    def _whole(self, rank: RankPlan, rows: Rows) -> RankRows:
        sha256 = self.wanted[rank.rank]
        if digest_of(rows) == sha256:
            return _checked(rank, rows)
        at = self.folder.shard(rank.rank, self.world_size)
        return _rows_of_shard(self.store, at, self.columns, rank, sha256)


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
    columns = Columns.of(plan)
    waiting: deque[tuple[RankPlan, Future[RankRows]]] = deque()
    with ThreadPoolExecutor(AHEAD_SHARDS) as pool:
        for rank in islice(plan.ranks, first, None):
            while waiting and not _has_room(waiting, rank):
                yield waiting.popleft()[1].result()
            at, sha256 = folder.shard(rank.rank, plan.world_size), wanted.get(rank.rank)
            waiting.append((rank, pool.submit(_rows_of_shard, store, at, columns, rank, sha256)))
        while waiting:
            yield waiting.popleft()[1].result()


def _has_room(waiting: Sequence[tuple[RankPlan, Any]], another: RankPlan) -> bool:
    """Whether one more shard may be in memory."""
    rows = another.rows + sum(rank.rows for rank, _ in waiting)
    return len(waiting) < AHEAD_SHARDS and rows <= AHEAD_ROWS


def _rows_of_shard(
    store: Readable, at: Location, columns: Columns, rank: RankPlan, sha256: str | None
) -> RankRows:
    rows = _read(store, at, columns, sha256)
    return RankRows(rank.rank, None, rows) if isinstance(rows, str) else _checked(rank, rows)


def _read(store: Readable, at: Location, columns: Columns, sha256: str | None) -> Rows | str:
    """Catalogue rows in an object, if it has this checksum where one is known; else why not."""
    try:
        data = store.get(at)
    except InputError as error:
        return f"no shard ({error.code})"
    if sha256 not in (None, hashlib.sha256(data).hexdigest()):
        return f"{at.uri} is damaged: it does not have the checksum that it was written with"
    try:
        return read_shard(data, *columns)
    except ValueError as error:
        return f"{at.uri} is not a shard: {error}"


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
        del group  # not held while the next one is made
    return merged


def _present(ranks: Iterable[RankRows], plan: Plan, merged: Merged) -> Iterator[Rows]:
    """The rows that are there; notes those that are missing."""
    for rank in ranks:
        if rank.rows is not None:
            yield rank.rows
        else:
            rows = plan.ranks[rank.rank].rows
            merged.missing.append({"rank": rank.rank, "rows": rows, "reason": rank.reason})
