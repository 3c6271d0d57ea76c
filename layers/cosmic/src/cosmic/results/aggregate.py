"""The end of every run: rows counted, shards merged, metrics checked, the bill, the truth told."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from cosmic import __version__
from cosmic.compat.cai.combined_data import NAME, combined_data
from cosmic.contracts.catalogue_schema import redshifts_of
from cosmic.contracts.flags import Flag
from cosmic.contracts.layout import RunFolder
from cosmic.contracts.location import Location
from cosmic.contracts.plan import Plan, parse_plan
from cosmic.contracts.rank_record import RankRecord, parse_record
from cosmic.contracts.status import State, Status, utc_now
from cosmic.costs.bill import bill, bill_document, billed_ms, billed_s, usage_of_run
from cosmic.errors import InputError, Problem
from cosmic.metrics.photo_z import photo_z_metrics
from cosmic.metrics.statistics import Statistics, disagreements
from cosmic.report.flagged import FlaggedRows
from cosmic.report.render import PageRender, with_page
from cosmic.results.catalogue_files import CatalogueWriter
from cosmic.results.merge import (
    CollectiveRecord,
    RankRows,
    gathered_rows,
    parse_collective,
    shard_rows,
)
from cosmic.storage.objects import Requests, Store
from cosmic.storage.status_writer import StatusWriter

READERS = 16
NO_PREDICTION = "have no prediction"


@dataclass(frozen=True)
class AggregateTask:
    """What the state machine asks of `aggregate`.

    Attributes:
        map_failure: Why the Map as a whole failed, if it did.
        looks: How often the run looked for room and had to wait.
        began_at_s: When this invocation began, seconds since 1970.
        ends_at_s: When this invocation will be ended, seconds since 1970.
    """

    folder: RunFolder
    manifest_uri: str
    execution: str
    run_started_at_s: float
    memory_mb: int
    began_at_s: float
    map_failure: dict[str, str] | None = None
    looks: int = 0
    ends_at_s: float = math.inf

    @classmethod
    def from_event(
        cls, event: dict[str, Any], memory_mb: int, remaining_s: float = math.inf
    ) -> Self:
        """Read the state machine's input, or EventBridge's notice that an execution was stopped."""
        if "detail" in event:
            event = _input_of_stopped(event["detail"])
        run = event["run"]
        return cls(
            folder=RunFolder(run["bucket"], run["prefix"], run["run"]),
            manifest_uri=run["manifest"],
            execution=event["execution"],
            run_started_at_s=datetime.fromisoformat(event["started_at"]).timestamp(),
            memory_mb=memory_mb,
            began_at_s=time.time(),
            map_failure=run.get("failure"),
            looks=run.get("admission", {}).get("looks", 0),
            ends_at_s=time.time() + remaining_s,
        )


def _input_of_stopped(notice: dict[str, Any]) -> dict[str, Any]:
    """What the state machine would have asked, had its execution not been stopped."""
    failure = {"Error": notice["status"], "Cause": "the execution was stopped"}
    return {
        "run": {**json.loads(notice["input"]), "failure": failure},
        "execution": notice["executionArn"],
        "started_at": datetime.fromtimestamp(notice["startDate"] / 1000, UTC).isoformat(),
    }


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


def aggregate(task: AggregateTask, store: Store, scratch: Path) -> Status:
    """Merge a run's shards and write its catalogue, metrics and status, in this order.

    The page is made after that, for nobody should wait for it who wants the catalogue; then the
    status is written again, with the page among its outputs. Where the run has been resumed
    since, what its new execution says stands, and this one ends.

    Args:
        task: Which run.
        store: S3.
        scratch: Folder for files before they are uploaded.

    Returns:
        The run's status as it is then.

    Raises:
        TransientError: S3 failed; calling again does the same again.
    """
    folder, before = task.folder, store.requests  # the store outlives runs in a warm environment
    writer = StatusWriter(store, folder, task.execution)
    if writer.successor:
        return writer.successor
    plan = parse_plan(store.get(folder.plan))
    warnings = writer.found.warnings if writer.found else plan.announced
    records = _read_records(store, folder, plan)
    collective = _read_collective(store, folder)
    parquet, fits = scratch / "catalogue.parquet", scratch / "catalogue.fits"
    with CatalogueWriter(parquet, fits) as catalogue:
        merged = _merge(_rows(store, folder, plan, records, collective), catalogue, plan)
        catalogue.finish(_provenance(plan, task, merged))
    failures = _failures(store, folder)
    _explain(merged, failures, task.map_failure)
    metrics = _metrics(plan, records, merged, task, store.requests.since(before))
    problems, fmi = _judge_fmi(plan, records, collective, merged)
    state = _state(plan, merged, problems)
    outputs = _write(store, folder, state, parquet, fits, metrics)
    outputs |= _write_combined(store, folder, plan, records)
    status = Status(
        run=plan.run,
        state=state,
        manifest=task.manifest_uri,
        updated_at=utc_now(),
        execution=task.execution,
        world_size=plan.world_size,
        rows_in=plan.rows,
        rows_out=merged.rows,
        rows_flagged=merged.rows_flagged,
        fmi=fmi,
        problems=tuple(p.as_dict() for p in problems),
        warnings=_warnings(warnings, failures, plan, merged, state),
        missing=tuple(merged.missing),
        outputs=outputs,
    )
    if writer.write(status):
        making = PageRender(plan, records, metrics, merged.redshifts, merged.flagged)
        writer.write(with_page(status, making, store, folder, scratch, task.ends_at_s))
    if state is State.SUCCEEDED:
        _let_go_of_shards(store, folder)
    return writer.found or status


def _let_go_of_shards(store: Store, folder: RunFolder) -> None:
    """Mark what the catalogue has made superfluous; a failed run's shards are kept."""
    shards = [Location(folder.bucket, found.key) for found in store.list(folder.at("shards/"))]
    with ThreadPoolExecutor(READERS) as pool:
        list(pool.map(store.mark_scratch, shards))


def _read_records(store: Store, folder: RunFolder, plan: Plan) -> list[RankRecord]:
    places = [folder.record(rank, plan.world_size) for rank in range(plan.world_size)]
    with ThreadPoolExecutor(READERS) as pool:
        texts = pool.map(lambda at: _get_or_none(store, at), places)
        return [parse_record(text) for text in texts if text is not None]


def _read_collective(store: Store, folder: RunFolder) -> CollectiveRecord | None:
    text = _get_or_none(store, folder.collective)
    return None if text is None else parse_collective(text)


def _get_or_none(store: Store, at: Location) -> bytes | None:
    try:
        return store.get(at)
    except InputError as error:
        if error.code != "not-found":
            raise
        return None


def _rows(
    store: Store,
    folder: RunFolder,
    plan: Plan,
    records: Sequence[RankRecord],
    collective: CollectiveRecord | None,
) -> Iterable[RankRows]:
    if collective and collective.shard_sha256:
        gathered = gathered_rows(store, folder, plan, records, collective)
        if gathered is not None:
            return gathered
    return shard_rows(store, folder, plan)


def _merge(ranks: Iterable[RankRows], writer: CatalogueWriter, plan: Plan) -> Merged:
    merged = Merged()
    for rank in ranks:
        if rank.table is None:
            rows = plan.ranks[rank.rank].rows
            merged.missing.append({"rank": rank.rank, "rows": rows, "reason": rank.reason})
            continue
        writer.write(rank.table)
        merged.flagged.see(rank.table)
        flags = rank.table["flags"].to_numpy()
        merged.rows += len(flags)
        merged.rows_unpredicted += rank.table["z_phot"].null_count
        merged.rows_flagged += int(np.count_nonzero(flags))
        merged.redshifts.append(redshifts_of(rank.table))
    return merged


def _failures(store: Store, folder: RunFolder) -> dict[int, str]:
    """Why ranks failed for good, as the state machine noted it."""
    causes = {}
    for found in store.list(folder.at("failures/")):
        note = json.loads(store.get(Location(folder.bucket, found.key)))
        causes[int(note["rank"])] = f"{note['error']}: {_error_message(note['cause'])}"
    return causes


def _error_message(cause: str) -> str:
    """The message in a Lambda error's cause, which is JSON unless the process died."""
    try:
        document = json.loads(cause)
    except ValueError:
        return cause
    return str(document.get("errorMessage", cause)) if isinstance(document, dict) else cause


def _explain(merged: Merged, failures: dict[int, str], map_failure: dict[str, str] | None) -> None:
    for entry in merged.missing:
        if entry["rank"] in failures:
            entry["reason"] = failures[entry["rank"]]
        elif map_failure:
            entry["reason"] = f"{map_failure.get('Error')}: {map_failure.get('Cause')}"


def _judge_fmi(
    plan: Plan,
    records: Sequence[RankRecord],
    collective: CollectiveRecord | None,
    merged: Merged,
) -> tuple[list[Problem], str]:
    """What speaks against what FMI reduced, and how FMI did.

    A catalogue that lacks rows can't be compared; that they are missing is told elsewhere.
    """
    if plan.channel == "none":
        return [], "none"
    joined = len(records) == plan.world_size and all(r.fmi == "ok" for r in records)
    if not joined or collective is None:
        return [], "degraded"
    if merged.missing:
        return [], "ok"
    parts = (Statistics.of(z_phot, z_spec) for z_phot, z_spec, _ in merged.redshifts)
    differ = disagreements(collective.statistics, sum(parts, Statistics.none()))
    return [Problem("metrics", d, None, "report it", "metrics-disagree") for d in differ], "ok"


def _state(plan: Plan, merged: Merged, problems: list[Problem]) -> State:
    """The run's end; adds to the problems why it failed."""
    lost = plan.rows - merged.rows + merged.rows_unpredicted
    if 100 * lost / plan.rows > plan.failed_rows_percent:
        hint = "the shards that are there are kept; " + (
            "`missing` says why ranks failed" if merged.missing else "check the model and its input"
        )
        problems.append(
            Problem("rows", _without_prediction(plan, merged), lost, hint, "rows-missing")
        )
    if problems:
        return State.FAILED
    return State.PARTIAL if lost else State.SUCCEEDED


def _without_prediction(plan: Plan, merged: Merged) -> str:
    """How many rows have no prediction, and why."""
    absent, unpredicted = plan.rows - merged.rows, merged.rows_unpredicted
    reasons = [f"{absent} belong to ranks that failed"] if absent else []
    if unpredicted:
        flag = f"flag {Flag.NO_PREDICTION.value} in the catalogue"
        reasons.append(f"for {unpredicted} the model gave no finite redshift ({flag})")
    lost = absent + unpredicted
    percent = 100 * lost / plan.rows
    return f"{lost} of {plan.rows} rows ({percent:.3g} %) {NO_PREDICTION}: {'; '.join(reasons)}"


def _write(
    store: Store, folder: RunFolder, state: State, parquet: Path, fits: Path, metrics: Any
) -> dict[str, str]:
    """Upload the results; a failed run's catalogue has a name that says that it is not whole."""
    name = "catalogue.partial" if state is State.FAILED else "catalogue"
    places = {f"{name}.parquet": parquet, f"{name}.fits": fits}
    for key, path in places.items():
        store.upload(path, folder.at(key))
    store.put_json(folder.metrics, metrics)
    return {key: folder.at(key).uri for key in (*places, "metrics.json")}


def _write_combined(
    store: Store, folder: RunFolder, plan: Plan, records: Sequence[RankRecord]
) -> dict[str, str]:
    """CAI's form of the records, where a manifest asks for it; where it wants it, if we may."""
    if plan.cai is None:
        return {}
    entries, places = combined_data(plan, records), [folder.at(NAME)]
    if plan.cai.copied:
        places.append(Location(folder.bucket, f"{plan.cai.result_path}/{NAME}"))
    for at in places:
        store.put_json(at, entries)
    return {NAME: places[0].uri}


def _provenance(plan: Plan, task: AggregateTask, merged: Merged) -> dict[str, str | int]:
    return {
        "cosmic.run": plan.run,
        "cosmic.model": plan.model.key.rsplit("/", 1)[-1],
        "cosmic.modelsha": plan.model.sha256,
        "cosmic.software": f"cosmic {__version__}",
        "cosmic.dataset": plan.dataset,
        "cosmic.date": datetime.fromtimestamp(task.run_started_at_s).astimezone().isoformat(),
        "cosmic.rowsin": plan.rows,
        "cosmic.rowsout": merged.rows,
        "cosmic.flagged": merged.rows_flagged,
    }


def _metrics(
    plan: Plan,
    records: Sequence[RankRecord],
    merged: Merged,
    task: AggregateTask,
    requests: Requests,
) -> dict[str, Any]:
    redshifts = np.concatenate([np.empty((3, 0), np.float32), *merged.redshifts], axis=1)
    wall_s = time.time() - task.run_started_at_s
    return {
        "version": 1,
        "photo_z": photo_z_metrics(*redshifts),
        "run": _run_metrics(plan, records, wall_s, time.time() - task.began_at_s),
        "bill": _bill(plan, records, task, requests),
        "ranks": [r.model_dump(mode="json") for r in records],
    }


def _run_metrics(
    plan: Plan, records: Sequence[RankRecord], wall_s: float, aggregate_s: float
) -> dict[str, Any]:
    """Of the run as a whole; `wall_s` runs from the execution's start to the merge's end.

    Shares are of the ranks' wall times from start to last prediction, summed.
    """
    ranks_s = sum(r.inferred_at_s - r.started_at_s for r in records)
    spent_s = {
        "download": sum(r.download_s for r in records),
        "read_wait": sum(r.read_wait_s for r in records),
        "compute": sum(r.compute_s for r in records),
    }
    idle_s, helped_s = sum(r.idle_s for r in records), sum(r.helped_s for r in records)
    computing_s = spent_s["compute"] + sum(r.helped_compute_s for r in records)
    return {
        "world_size": plan.world_size,
        "engine": plan.engine,
        "precision": plan.precision,
        "batch_size": plan.batch_size,
        "model_bytes": plan.model.bytes,
        "model_sha256": plan.model.sha256,
        "threads": sorted({r.threads for r in records}),
        "rows": plan.rows,
        "wall_s": wall_s,
        "aggregate_s": aggregate_s,
        "rows_per_wall_s": plan.rows / wall_s,
        "bytes_read": sum(r.bytes_read for r in records),
        "rank_s_summed": ranks_s,
        **{f"{name}_s_summed": seconds for name, seconds in spent_s.items()},
        "shares": {name: seconds / max(ranks_s, 1e-9) for name, seconds in spent_s.items()},
        "fmi_s_summed": sum(r.finished_at_s - r.written_at_s - r.helped_s for r in records),
        "rows_moved": sum(r.rows_given for r in records),
        "helped_s_summed": helped_s,
        "idle_s_summed": idle_s,
        "idle_share": idle_s / max(sum(billed_s(r) for r in records), 1e-9),
        "rows_per_compute_s": plan.rows / max(computing_s, 1e-9),
        "peak_memory_mb": max((r.peak_memory_mb for r in records), default=0),
        "cold_starts": sum(r.cold_start for r in records),
        "retries": sum(r.attempt for r in records),
    }


def _bill(
    plan: Plan, records: Sequence[RankRecord], task: AggregateTask, requests: Requests
) -> dict[str, Any]:
    """What the run cost until now; the few milliseconds that follow are not in it."""
    own = (billed_ms(time.time() - task.began_at_s), task.memory_mb)
    usage = usage_of_run(records, plan.world_size, own, requests, task.looks)
    return bill_document(bill(usage), plan.rows)


def _warnings(
    earlier: tuple[str, ...],
    failures: dict[int, str],
    plan: Plan,
    merged: Merged,
    state: State,
) -> tuple[str, ...]:
    """Those that the run had, ranks that failed after their rows were safe, rows tolerated."""
    stay = tuple(w for w in earlier if NO_PREDICTION not in w)
    partial = state is State.PARTIAL and merged.rows_unpredicted > 0
    tolerated = (_without_prediction(plan, merged),) if partial else ()
    return tuple(dict.fromkeys(stay + _late_failures(failures, merged) + tolerated))


def _late_failures(failures: dict[int, str], merged: Merged) -> tuple[str, ...]:
    missing = {entry["rank"] for entry in merged.missing}
    return tuple(
        f"rank {rank} failed after its rows were written: {why}"
        for rank, why in sorted(failures.items())
        if rank not in missing
    )
