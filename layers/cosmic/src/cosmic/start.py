"""From an uploaded manifest to a started execution: once, or not at all with every reason."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from cosmic.engines import BF16_ENGINE, choose_engine
from cosmic.errors import InvalidInput, Problem, TransientError
from cosmic.manifest import Inference, Manifest, parse_manifest
from cosmic.memory import projected_memory_mb
from cosmic.plan import (
    Limits,
    Plan,
    choose_world_size,
    limit_rows,
    make_plan,
    parse_plan,
    refusals,
)
from cosmic.runs import RunFolder, job_from_key, run_id
from cosmic.status import State, Status, utc_now
from cosmic.store import Location, Store
from cosmic.survey import Survey, survey

if TYPE_CHECKING:
    from types_boto3_stepfunctions import SFNClient

DEFAULT_PREFIX = "runs/"


@dataclass(frozen=True)
class Upload:
    """One version of one manifest in S3.

    Attributes:
        revision: The version id, or the ETag and the event's sequencer.
        version_id: The version to read, where the bucket has versions.
    """

    at: Location
    revision: str
    version_id: str | None = None


@dataclass(frozen=True)
class Outcome:
    """What became of an upload.

    Attributes:
        new: Whether this call is the first to see the upload; a repeated event's is not.
    """

    run: str
    state: State
    new: bool
    status_uri: str
    problems: tuple[Problem, ...] = ()


def start_run(
    upload: Upload, store: Store, executions: SFNClient, state_machine_arn: str, limits: Limits
) -> Outcome:
    """Validate, plan and start the run of a manifest.

    Safe to repeat: the run's id follows from the upload, its manifest and plan are written once,
    and an execution of that name can be started once.

    Raises:
        TransientError: S3 or Step Functions failed; calling again carries on.
    """
    text = store.get(upload.at, version_id=upload.version_id)
    try:
        manifest = parse_manifest(text)
    except InvalidInput as error:
        folder = _folder(upload, job_from_key(upload.at.key), DEFAULT_PREFIX)
        return _reject(store, folder, upload, error.problems)
    writable = manifest.output.prefix.startswith(limits.output_prefixes)
    folder = _folder(upload, manifest.job, manifest.output.prefix if writable else DEFAULT_PREFIX)
    new = store.put_once(folder.manifest, _claim(upload, manifest))
    plan = _written_plan(store, folder)
    if plan is None:
        planned = plan_run(
            folder.run, manifest, survey(store, manifest.data, manifest.model), limits
        )
        if not isinstance(planned, Plan):
            return _reject(store, folder, upload, planned)
        plan = _write_plan(store, folder, planned)
    _announce(store, folder, upload, plan)
    at_once = min(plan.world_size, limits.world_size)
    _start(executions, state_machine_arn, folder, upload, plan, at_once)
    return Outcome(folder.run, State.RUNNING, new, folder.status.uri)


def plan_run(run: str, manifest: Manifest, found: Survey, limits: Limits) -> Plan | list[Problem]:
    """The plan of a surveyed run, or everything that speaks against it."""
    rows = limit_rows([p.rows for p in found.partitions], manifest.inference.limit_rows)
    batch_size = manifest.inference.batch_size
    world_size = choose_world_size(
        manifest.inference.world_size, sum(rows), batch_size, limits.world_size
    )
    channel, warnings = _choose_channel(manifest.fmi.channel, world_size, limits)
    row_bytes = max((p.row_bytes for p in found.partitions), default=0)
    memory_mb = projected_memory_mb(
        found.model.bytes if found.model else 0,
        row_bytes,
        batch_size,
        choose_engine(manifest.inference.engine),
    )
    problems = list(found.problems)
    if found.partitions or not problems:
        problems += refusals(sum(rows), world_size, channel, limits, memory_mb)
    if not manifest.output.prefix.startswith(limits.output_prefixes):
        problems.append(_no_prefix(manifest.output.prefix, limits))
    problems += _no_precision(manifest.inference)
    if problems or found.model is None:
        return problems
    return make_plan(
        run,
        manifest,
        found.model,
        found.partitions,
        world_size=world_size,
        channel=channel,
        ignored_keys=found.ignored_keys,
        warnings=[*manifest.warnings, *warnings],
        output_prefixes=limits.output_prefixes,
    )


def _no_precision(inference: Inference) -> list[Problem]:
    """Whether the processor has a precision, only a rank can tell."""
    engine = choose_engine(inference.engine)
    if inference.precision == "float32" or engine == BF16_ENGINE:
        return []
    hint = f"use float32, or the engine {BF16_ENGINE}"
    message = f"the engine {engine} does not compute in {inference.precision}"
    return [
        Problem("/inference/precision", message, inference.precision, hint, "no-precision"),
    ]


def _no_prefix(prefix: str, limits: Limits) -> Problem:
    hint = f"use a prefix under {' or '.join(limits.output_prefixes)}"
    message = f"the functions may not write under {prefix!r}"
    return Problem("/output/prefix", message, prefix, hint, "no-prefix")


def _choose_channel(wanted: str, world_size: int, limits: Limits) -> tuple[str, list[str]]:
    """The channel, and what to warn of: ranks that can't all run at once can't talk."""
    if wanted != "auto":
        return wanted, []
    best = limits.channels[0] if limits.channels else "none"
    if best == "none" or world_size <= limits.world_size:
        return best, []
    warning = f"{world_size} ranks run {limits.world_size} at a time and don't talk to each other"
    hint = "no more can run at once here (InferConcurrency, or the account's concurrency)"
    return "none", [f"{warning}: {hint}"]


def _folder(upload: Upload, job: str, prefix: str) -> RunFolder:
    run = run_id(job, upload.at.bucket, upload.at.key, upload.revision)
    return RunFolder(upload.at.bucket, prefix, run)


def _claim(upload: Upload, manifest: Manifest) -> bytes:
    document = {
        "source": {"uri": upload.at.uri, "revision": upload.revision},
        "manifest": manifest.model_dump(mode="json"),
    }
    return json.dumps(document, indent=1).encode()


def _written_plan(store: Store, folder: RunFolder) -> Plan | None:
    if not any(o.key == folder.plan.key for o in store.list(folder.plan)):
        return None
    return parse_plan(store.get(folder.plan))


def _write_plan(store: Store, folder: RunFolder, plan: Plan) -> Plan:
    if not store.put_once(folder.plan, plan.model_dump_json().encode()):
        plan = parse_plan(store.get(folder.plan))
    items = [{"rank": rank.rank} for rank in plan.ranks]
    store.put(folder.ranks, json.dumps(items).encode(), "application/json")
    return plan


def _announce(store: Store, folder: RunFolder, upload: Upload, plan: Plan) -> None:
    warnings = list(plan.warnings)
    if plan.ignored_keys:
        keys = ", ".join(plan.ignored_keys[:20])
        warnings.append(f"{len(plan.ignored_keys)} objects are no partitions: {keys}")
    status = Status(
        run=folder.run,
        state=State.RUNNING,
        manifest=upload.at.uri,
        updated_at=utc_now(),
        world_size=plan.world_size,
        rows_in=plan.rows,
        warnings=tuple(warnings),
    )
    store.put_once(folder.status, status.model_dump_json(indent=1).encode())


def _start(
    executions: SFNClient, arn: str, folder: RunFolder, upload: Upload, plan: Plan, at_once: int
) -> None:
    document: dict[str, Any] = {
        "bucket": folder.bucket,
        "prefix": folder.prefix,
        "run": folder.run,
        "world_size": plan.world_size,
        "concurrency": at_once,
        "manifest": upload.at.uri,
        "ranks_key": folder.ranks.key,
        "status_key": folder.status.key,
    }
    try:
        executions.start_execution(stateMachineArn=arn, name=folder.run, input=json.dumps(document))
    except executions.exceptions.ExecutionAlreadyExists:
        return
    except (BotoCoreError, ClientError) as error:
        raise TransientError(f"the execution of {folder.run} did not start: {error}") from error


def _reject(store: Store, folder: RunFolder, upload: Upload, problems: list[Problem]) -> Outcome:
    status = Status(
        run=folder.run,
        state=State.REJECTED,
        manifest=upload.at.uri,
        updated_at=utc_now(),
        problems=tuple(p.as_dict() for p in problems),
    )
    store.put(folder.status, status.model_dump_json(indent=1).encode(), "application/json")
    return Outcome(folder.run, State.REJECTED, True, folder.status.uri, tuple(problems))
