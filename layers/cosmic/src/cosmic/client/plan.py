"""What a manifest would do, found with `init`'s own code, and the time and money it would take."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cosmic.client.limits import limits_of
from cosmic.client.manifests import NOTHING, AnyManifest, Overrides, read_manifest
from cosmic.client.results import read_metrics
from cosmic.client.stack import Stack
from cosmic.contracts.layout import RunFolder
from cosmic.contracts.plan import Limits, Plan
from cosmic.contracts.vcpus import threads_for_memory
from cosmic.costs import counts
from cosmic.costs.bill import bill_document, total_usd
from cosmic.costs.budget import expect, most_usd
from cosmic.costs.card_figures import Runs
from cosmic.costs.measured import Measured, at_rate, from_metrics, unlike
from cosmic.costs.predict import Prediction
from cosmic.costs.whole_plan import whole_plan
from cosmic.costs.workload import earlier, of_plan
from cosmic.costs.world_size import alternatives
from cosmic.errors import InputError
from cosmic.planning.memory import projected_memory_mb

UNMEASURED = "unknown until this model is measured"
HOW_TO_MEASURE = (
    "cosmic tune --manifest FILE --json > measured.json, then cosmic plan --from measured.json; "
    "or --like RUN, a finished run of the same model; or cosmic model measure FOLDER, then "
    "--from FOLDER/card.json"
)


@dataclass(frozen=True)
class RateSource:
    """Where to take the model's throughput from; at most one is given.

    Attributes:
        like: A finished run in the same bucket.
        measured: A file: a run's metrics.json, what `cosmic tune --json` printed, or the model's
            card.
        rows_per_s: Stated by the user, of one core.
    """

    like: str | None = None
    measured: Path | None = None
    rows_per_s: float | None = None

    def __post_init__(self) -> None:
        """Refuse several.

        Raises:
            InputError: more than one is given.
        """
        given = [s for s in (self.like, self.measured, self.rows_per_s) if s is not None]
        if len(given) > 1:
            message = f"{len(given)} of --like, --from and --rows-per-s are given"
            raise InputError(message, hint="give one")


@dataclass(frozen=True)
class PlannedRun:
    """What a manifest would do.

    Attributes:
        plan: Which rank would read which rows.
        limits: What the deployment can do now.
        memory_mb: Memory that a rank needs, in MiB.
        measured: How fast the plan's model runs; None: nobody has measured it.
    """

    plan: Plan
    limits: Limits
    memory_mb: int
    measured: Measured | None

    @property
    def expected(self) -> Prediction | None:
        """Time and cost; None where the model has not been measured."""
        return expect(self.plan, self.limits, self.measured) if self.measured else None

    def document(self) -> dict[str, Any]:
        """All of it as JSON, as `cosmic plan --json` prints it."""
        rows = [rank.rows for rank in self.plan.ranks]
        return {
            "ok": True,
            "problems": [],
            "warnings": list(self.plan.warnings),
            "ranks": self.plan.world_size,
            "at_once": min(self.plan.world_size, self.limits.world_size),
            "rows": self.plan.rows,
            "partitions": len(self.plan.partitions),
            "bytes": bytes_to_read(self.plan),
            "rows_per_rank": {"least": min(rows), "most": max(rows)},
            "memory_mb": self.memory_mb,
            "function_mb": self.limits.memory_mb,
            "channel": self.plan.channel,
            "engine": self.plan.engine,
            "precision": self.plan.precision,
            **expected_document(self.plan, self.limits, self.measured),
            "alternatives": alternatives(self.plan, self.limits, self.measured).document(),
        }


def plan(
    stack: Stack,
    manifest: AnyManifest,
    source: RateSource,
    prefix: str,
    overrides: Overrides = NOTHING,
) -> PlannedRun:
    """Plan a run as the deployment's `init` would; nothing is written, nothing is started.

    Args:
        stack: Where it would run.
        manifest: What would be submitted.
        source: Where the model's throughput is to come from.
        prefix: Prefix of the results of the run that `source` may name.
        overrides: Values that replace the manifest's `limits`.

    Raises:
        InvalidInput: the run is not possible; lists all the reasons.
        InputError: the source can't be read, or is about another model.
        TransientError: AWS failed.
    """
    checked, _ = read_manifest(manifest, overrides)
    limits = limits_of(stack)

    def measure(planned: Plan) -> Measured | None:
        return measured_for(planned, source, stack, prefix)

    planned, measured = whole_plan(checked, stack.store(), limits, "plan", measure)
    threads = threads_for_memory(limits.memory_mb)
    return PlannedRun(planned, limits, needed_mb(planned, threads), measured)


def needed_mb(plan: Plan, threads: int) -> int:
    """Memory that a rank of so many threads needs, in MiB."""
    row_bytes = max(p.row_bytes for p in plan.partitions)
    return projected_memory_mb(plan.model.bytes, row_bytes, plan.batch_size, plan.engine, threads)


def bytes_to_read(plan: Plan) -> int:
    """Bytes of the rows of all ranks."""
    return sum(
        (s.stop - s.start) * plan.partitions[s.partition].row_bytes
        for rank in plan.ranks
        for s in rank.slices
    )


def measured_for(plan: Plan, source: RateSource, stack: Stack, prefix: str) -> Measured | None:
    """The figures of the plan's own model; None if no source is given.

    Raises:
        InputError: they are of another model, engine, precision or batch size, or can't be read.
    """
    if source.rows_per_s is not None:
        return at_rate(source.rows_per_s, plan)
    if source.measured is not None:
        found, _ = earlier(source.measured, Runs(plan.engine, plan.precision))
    elif source.like is not None:
        found = _of_run(stack, RunFolder(stack.bucket, prefix, source.like))
    else:
        return None
    reason = unlike(found, plan.model.sha256, plan.engine, plan.precision)
    if reason:
        raise InputError(reason, code="other-model", hint=HOW_TO_MEASURE)
    return found


def _of_run(stack: Stack, folder: RunFolder) -> Measured:
    try:
        metrics = read_metrics(stack.store(), folder)
    except InputError as error:
        if error.code != "not-found":
            raise
        message = f"no finished run {folder.run}: {error.message}"
        raise InputError(message, code="no-run") from error
    return from_metrics(metrics, f"run {folder.run}")


def expected_document(plan: Plan, limits: Limits, measured: Measured | None) -> dict[str, Any]:
    """Time, counts and bill as JSON; values that need a measured model are null without one."""
    at_once = min(plan.world_size, limits.world_size)
    job, how = of_plan(plan, limits.memory_mb)
    if measured is None:
        known = counts.count(job, how, at_once)
        return {
            "expected": None,
            "counts": counts.as_dict(known),
            "usd_at_least": total_usd(known.lines()),
            "usd_at_most": most_usd(plan, limits),
            "bill": None,
        }
    found = expect(plan, limits, measured)
    return {
        "expected": {
            "wall_s": found.wall_s,
            "rank_s": found.rank_s,
            "waves": -(-plan.world_size // at_once),
            "starts": "warm" if measured.init_s is None else "cold",
            "measured": measured.model_dump(mode="json"),
        },
        "counts": counts.as_dict(found.counts),
        "usd_at_least": total_usd(found.counts.lines()),
        "usd_at_most": most_usd(plan, limits),
        "bill": bill_document(found.lines, plan.rows),
    }
