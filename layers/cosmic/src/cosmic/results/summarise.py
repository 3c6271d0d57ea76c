"""What became of a run, from what was read of it: nothing here touches S3 or a clock."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from cosmic import __version__
from cosmic.contracts.clocks import AWS
from cosmic.contracts.flags import Flag
from cosmic.contracts.plan import Plan
from cosmic.contracts.status import State, Status, utc_time
from cosmic.costs.bill import bill, bill_document, billed_ms, usage_of_run
from cosmic.errors import InputError, Problem
from cosmic.metrics.statistics import disagreements
from cosmic.results.collective import CollectiveRecord
from cosmic.results.merge import Merged
from cosmic.results.rank_numbers import RankNumbers, numbers_of
from cosmic.results.read_run import RunParts
from cosmic.results.task import AggregateTask
from cosmic.storage.interfaces import Requests

NO_PREDICTION = "have no prediction"
NO_RECORD = "wrote all rows and no record"


@dataclass(frozen=True)
class Summary:
    """A run's status, before it is known what was published, and its metrics without `ranks`."""

    status: Status
    metrics: dict[str, Any]


def summarise(
    task: AggregateTask,
    parts: RunParts,
    merged: Merged,
    announced: tuple[str, ...],
    requests: Requests,
    now_s: float,
) -> Summary:
    """Judge a run, and count what it did and cost.

    Args:
        task: Which run.
        parts: What was read of it.
        merged: What the merge counted; the ranks that lack rows get their reasons here.
        announced: The warnings that the run had before.
        requests: Of `aggregate` to S3 until now.
        now_s: Seconds since 1970.
    """
    plan = parts.plan
    _explain(merged, parts.failures, task.map_failure)
    dropped = sum(record.implausible_z_spec for record in parts.records)
    photo_z = merged.photo_z.metrics(dropped)  # before the ranks' numbers: both take memory
    ranks = numbers_of(parts.records)
    metrics = _metrics(parts, ranks, merged, photo_z, task, requests, now_s)
    problems, fmi = _judge_fmi(plan, ranks, parts.collective, merged)
    state = _state(plan, merged, problems)
    status = Status(
        run=plan.run,
        state=state,
        manifest=task.manifest_uri,
        updated_at=utc_time(now_s),
        execution=task.execution,
        world_size=plan.world_size,
        rows_in=plan.rows,
        rows_out=merged.rows,
        rows_flagged=merged.rows_flagged,
        fmi=fmi,
        problems=tuple(p.as_dict() for p in problems),
        warnings=_warnings(announced, parts, ranks, merged, state),
        missing=tuple(merged.missing),
    )
    return Summary(status, metrics)


def likely_to_fail(parts: RunParts) -> bool:
    """Whether a run will have failed, as far as records tell before any row is read."""
    plan = parts.plan
    rows = sum(plan.ranks[record.rank].rows for record in parts.records)
    return 100 * (plan.rows - rows) / plan.rows > plan.failed_rows_percent


def _explain(merged: Merged, failures: dict[int, str], map_failure: dict[str, str] | None) -> None:
    for entry in merged.missing:
        if entry["rank"] in failures:
            entry["reason"] = failures[entry["rank"]]
        elif map_failure:
            entry["reason"] = f"{map_failure.get('Error')}: {map_failure.get('Cause')}"


def _judge_fmi(
    plan: Plan,
    ranks: Sequence[RankNumbers],
    collective: CollectiveRecord | None,
    merged: Merged,
) -> tuple[list[Problem], str]:
    """What speaks against what FMI reduced, and how FMI did.

    A catalogue that lacks rows can't be compared; that they are missing is told elsewhere.
    """
    if plan.channel == "none":
        return [], "none"
    joined = len(ranks) == plan.world_size and all(r.fmi == "ok" for r in ranks)
    if not joined or collective is None:
        return [], "degraded"
    if merged.missing:
        return [], "ok"
    differ = disagreements(collective.statistics, merged.statistics)
    return [Problem("metrics", d, None, "report it", "metrics-disagree") for d in differ], "ok"


def _state(plan: Plan, merged: Merged, problems: list[Problem]) -> State:
    """The run's end; adds to the problems why it failed."""
    lost = plan.rows - merged.rows + merged.rows_unpredicted
    if 100 * lost / plan.rows > plan.failed_rows_percent:
        hint = "the existing shards are kept; " + (
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


def provenance(plan: Plan, task: AggregateTask, merged: Merged) -> dict[str, str | int]:
    """What the catalogue says of its origin; the date is in UTC."""
    return {
        "cosmic.run": plan.run,
        "cosmic.model": plan.model.key.rsplit("/", 1)[-1],
        "cosmic.modelsha": plan.model.sha256,
        "cosmic.software": f"cosmic {__version__}",
        "cosmic.dataset": plan.dataset,
        "cosmic.date": datetime.fromtimestamp(task.run_started_at_s, UTC).isoformat(),
        "cosmic.rowsin": plan.rows,
        "cosmic.rowsout": merged.rows,
        "cosmic.flagged": merged.rows_flagged,
    }


def _metrics(
    parts: RunParts,
    ranks: Sequence[RankNumbers],
    merged: Merged,
    photo_z: dict[str, Any],
    task: AggregateTask,
    requests: Requests,
    now_s: float,
) -> dict[str, Any]:
    plan = parts.plan
    wall_s, aggregate_s = now_s - task.run_started_at_s, now_s - task.began_at_s
    metrics: dict[str, Any] = {
        "version": 1,
        "photo_z": photo_z,
        "pz": merged.pz.metrics(),
        "run": _run_metrics(plan, ranks, wall_s, aggregate_s),
        "flags": dict(merged.flagged.counts),
        "domain": _domain_metrics(plan, merged),
        "bill": _bill(parts, task, aggregate_s, requests),
    }
    if task.clock != AWS:
        metrics["bill"]["predicted_on_aws"] = _predicted(parts, metrics, task.memory_mb)
    return metrics


def _predicted(parts: RunParts, metrics: dict[str, Any], memory_mb: int) -> dict[str, float] | None:
    """What the cost model expects of AWS, from what this run measured; None if it can't tell.

    The model is imported here: on AWS itself nothing is predicted.
    """
    from cosmic.costs.measured import from_metrics
    from cosmic.costs.platform import LAMBDA
    from cosmic.costs.predict import predict
    from cosmic.costs.workload import of_plan

    ranks = [record.model_dump(mode="json") for record in parts.records]
    memory_mb = max((rank["memory_mb"] for rank in ranks), default=memory_mb)
    try:
        measured = from_metrics({**metrics, "ranks": ranks}, "this run")
        expected = predict(*of_plan(parts.plan, memory_mb), measured, LAMBDA)
    except InputError:
        return None
    return {"usd": expected.usd, "wall_s": expected.wall_s}


def _domain_metrics(plan: Plan, merged: Merged) -> dict[str, Any]:
    """How many objects are unlike those of the training; null if the model can't tell."""
    if not plan.model.has_domain:
        return {"known": False, "outside": None, "share": None}
    outside = merged.flagged.counts[Flag.OUT_OF_DOMAIN.name or ""]
    share = outside / merged.rows if merged.rows else None
    return {"known": True, "outside": outside, "share": share}


def _run_metrics(
    plan: Plan, ranks: Sequence[RankNumbers], wall_s: float, aggregate_s: float
) -> dict[str, Any]:
    """Of the run as a whole; `wall_s` runs from the execution's start to the merge's end.

    Shares are of the ranks' wall times from start to last prediction, summed.
    """
    ranks_s = sum(r.inferred_at_s - r.started_at_s for r in ranks)
    spent_s = {
        "download": sum(r.download_s for r in ranks),
        "read_wait": sum(r.read_wait_s for r in ranks),
        "compute": sum(r.compute_s for r in ranks),
    }
    idle_s, helped_s = sum(r.idle_s for r in ranks), sum(r.helped_s for r in ranks)
    computing_s = spent_s["compute"] + sum(r.helped_compute_s for r in ranks)
    return {
        "world_size": plan.world_size,
        "engine": plan.engine,
        "precision": plan.precision,
        "batch_size": plan.batch_size,
        "model_bytes": plan.model.bytes,
        "model_sha256": plan.model.sha256,
        "threads": sorted({r.threads for r in ranks}),
        "rows": plan.rows,
        "wall_s": wall_s,
        "aggregate_s": aggregate_s,
        "rows_per_wall_s": plan.rows / wall_s,
        "bytes_read": sum(r.bytes_read for r in ranks),
        "rank_s_summed": ranks_s,
        **{f"{name}_s_summed": seconds for name, seconds in spent_s.items()},
        "shares": {name: seconds / max(ranks_s, 1e-9) for name, seconds in spent_s.items()},
        "fmi_s_summed": sum(r.finished_at_s - r.written_at_s - r.helped_s for r in ranks),
        "rows_moved": sum(r.rows_given for r in ranks),
        "helped_s_summed": helped_s,
        "idle_s_summed": idle_s,
        "idle_share": idle_s / max(sum(r.billed_s for r in ranks), 1e-9),
        "rows_per_compute_s": plan.rows / max(computing_s, 1e-9),
        "peak_memory_mb": max((r.peak_memory_mb for r in ranks), default=0),
        "cold_starts": sum(r.cold_start for r in ranks),
        "retries": sum(r.attempt for r in ranks),
    }


def _bill(
    parts: RunParts, task: AggregateTask, aggregate_s: float, requests: Requests
) -> dict[str, Any]:
    """What the run cost until now; the few milliseconds that follow are not in it."""
    own = (billed_ms(aggregate_s), task.memory_mb)
    ranks = (parts.records, parts.plan.world_size)
    usage = usage_of_run(*ranks, own, requests, task.looks, parts.plan.architecture)
    return bill_document(bill(usage), parts.plan.rows, task.clock)


def _warnings(
    earlier: tuple[str, ...],
    parts: RunParts,
    ranks: Sequence[RankNumbers],
    merged: Merged,
    state: State,
) -> tuple[str, ...]:
    """Those that the run had, ranks that failed after their rows were safe, rows tolerated."""
    stay = tuple(w for w in earlier if NO_PREDICTION not in w and NO_RECORD not in w)
    partial = state is State.PARTIAL and merged.rows_unpredicted > 0
    tolerated = (_without_prediction(parts.plan, merged),) if partial else ()
    late = _late_failures(parts.failures, merged) + _unrecorded(parts, ranks, merged)
    return tuple(dict.fromkeys(stay + late + tolerated))


def _unrecorded(parts: RunParts, ranks: Sequence[RankNumbers], merged: Merged) -> tuple[str, ...]:
    """Ranks whose rows are there, and that ended before they wrote what they took."""
    said = {*parts.failures, *(entry["rank"] for entry in merged.missing)}
    known = {each.rank for each in ranks} | said
    count = sum(rank not in known for rank in range(parts.plan.world_size))
    if not count:
        return ()
    those = "1 rank" if count == 1 else f"{count} ranks"
    return (f"{those} {NO_RECORD}: metrics and bill lack what that took",)


def _late_failures(failures: dict[int, str], merged: Merged) -> tuple[str, ...]:
    missing = {entry["rank"] for entry in merged.missing}
    return tuple(
        f"rank {rank} failed after its rows were written: {why}"
        for rank, why in sorted(failures.items())
        if rank not in missing
    )
