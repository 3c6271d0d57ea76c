"""What a run has left for `aggregate`: its plan, records, shards and failures."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from cosmic.contracts.plan import Plan
from cosmic.contracts.rank_record import RankRecord
from cosmic.results.collective import CollectiveRecord, parse_collective
from cosmic.results.merge import RankRows, gathered_rows, shard_rows
from cosmic.storage.damaged import DELETE, parsed
from cosmic.storage.run_store import RunStore


@dataclass(frozen=True)
class RunParts:
    """A run as its ranks have left it; the rows come apart, for they are large.

    Plan and records are parsed anew each time that somebody goes through them: see `Packed`.

    Attributes:
        records: Of the ranks that wrote one, by rank.
        collective: What rank 0 knows after the closing collective, if it got that far.
        failures: Why ranks failed for good, by rank.
    """

    plan: Plan
    records: Sequence[RankRecord]
    collective: CollectiveRecord | None
    failures: dict[int, str]


def read_run(run: RunStore) -> RunParts:
    """Read all that a run has left but its rows.

    Raises:
        InputError: an object of the run is damaged.
        TransientError: S3 failed.
    """
    plan = run.packed_plan()
    return RunParts(
        plan=plan,
        records=run.records(plan.world_size),
        collective=_parse_collective(run),
        failures=run.failures(),
    )


def _parse_collective(run: RunStore) -> CollectiveRecord | None:
    text = run.collective()
    return None if text is None else parsed(parse_collective, text, run.folder.collective, DELETE)


def read_rows(run: RunStore, parts: RunParts) -> Iterable[RankRows]:
    """The ranks' rows in rank order: as gathered by rank 0 if that is whole, else by shard."""
    collective, store, folder = parts.collective, run.objects, run.folder
    if collective and collective.shard_sha256:
        gathered = gathered_rows(store, folder, parts.plan, parts.records, collective)
        if gathered is not None:
            return gathered
    return shard_rows(store, folder, parts.plan, parts.records)
