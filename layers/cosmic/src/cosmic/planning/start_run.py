"""From an uploaded manifest to a started execution: once, or not at all with every reason."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cosmic.contracts.bands import BANDS
from cosmic.contracts.engines import BF16_ENGINE, choose_engine
from cosmic.contracts.layout import RunFolder, job_from_key, run_id
from cosmic.contracts.location import Location
from cosmic.contracts.manifest import MAX_MANIFEST_BYTES, Inference, Manifest, parse_manifest
from cosmic.contracts.plan import (
    AUTO_ROWS_PER_RANK,
    Limits,
    Plan,
    limit_rows,
    make_plan,
    refusals,
    used_ranks,
)
from cosmic.contracts.status import State, Status, utc_now
from cosmic.errors import CosmicError, InputError, InvalidInput, Problem, TransientError
from cosmic.planning.capacity import too_much_for_hats, too_much_to_merge
from cosmic.planning.execution_input import execution_input
from cosmic.planning.inputs import RunInputs, inspect_inputs
from cosmic.planning.memory import largest_model_bytes, projected_memory_mb
from cosmic.storage.aws_errors import translated
from cosmic.storage.objects import Readable, Store
from cosmic.storage.run_store import RunStore

if TYPE_CHECKING:
    from types_boto3_stepfunctions import SFNClient

DEFAULT_PREFIX = "runs/"
Guard = Callable[[Plan, Manifest, Limits], list[Problem]]
Chooser = Callable[[Manifest, RunInputs, Limits], int]


def by_rows(manifest: Manifest, found: RunInputs, limits: Limits) -> int:
    """The number of ranks where nobody knows what they cost: `AUTO_ROWS_PER_RANK` rows each."""
    inference = manifest.inference
    rows = sum(limit_rows([p.rows for p in found.partitions], inference.limit_rows))
    return max(1, min(limits.world_size, -(-rows // max(AUTO_ROWS_PER_RANK, inference.batch_size))))


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


def start_runs(
    uploads: Iterable[Upload], start: Callable[[Upload], Outcome]
) -> tuple[list[Outcome], list[CosmicError]]:
    """Start the run of each upload, whatever becomes of the others.

    Returns:
        What became of them, and the errors of those that have no answer yet. Errors that another
        try may mend come first.
    """
    outcomes: list[Outcome] = []
    errors: list[CosmicError] = []
    for upload in uploads:
        try:
            outcomes.append(start(upload))
        except CosmicError as error:
            errors.append(error)
    return outcomes, sorted(errors, key=lambda e: not isinstance(e, TransientError))


def start_run(
    upload: Upload,
    store: Store,
    executions: SFNClient,
    state_machine_arn: str,
    limits: Limits | Callable[[], Limits],
    guard: Guard = lambda *_: [],
    choose: Chooser = by_rows,
) -> Outcome:
    """Validate, plan and start the run of a manifest, or reject it with every reason.

    Safe to repeat after any of its writes: the run's id follows from the upload; its claim, plan
    and items are written once, each before what needs it; and an execution of that name can be
    started once. The status comes last, so one that says RUNNING has an execution. An upload that
    was rejected for its input stays rejected, also where the input has been completed since.

    Args:
        limits: Of the deployment, or what asks AWS for them.
        guard: What else may speak against a plan, such as its cost, which this package doesn't
            know.
        choose: The number of ranks where the manifest says `auto`.

    Raises:
        InputError: the manifest is gone, or its bucket takes no answer.
        TransientError: S3, Lambda or Step Functions failed; calling again carries on.
    """
    run = _run(store, upload, job_from_key(upload.at.key), DEFAULT_PREFIX)
    try:
        text = store.get(upload.at, version_id=upload.version_id, most=MAX_MANIFEST_BYTES)
        manifest = parse_manifest(text)
        run = _run(store, upload, manifest.job, manifest.output.prefix)
        known = limits() if callable(limits) else limits
    except InvalidInput as error:
        return _reject(run, upload, error.problems)
    except InputError as error:
        if error.code == "not-found":
            raise
        return _reject(run, upload, [_whole(error)])
    if not manifest.output.prefix.startswith(known.output_prefixes):
        run = _run(store, upload, manifest.job, DEFAULT_PREFIX)
    new = run.claim(_claim(upload, manifest))
    plan = _plan_once(run, manifest, known, guard, choose, new=new)
    if isinstance(plan, Status):
        return _rejected(run.folder, plan)
    if not isinstance(plan, Plan):
        return _reject(run, upload, plan)
    try:
        _start(executions, state_machine_arn, run, upload, plan, known)
    except InputError as error:
        return _reject(run, upload, [_whole(error)])
    run.announce(_running(run.folder, upload, plan))
    return Outcome(run.folder.run, State.RUNNING, new, run.folder.status.uri)


def _plan_once(
    run: RunStore,
    manifest: Manifest,
    limits: Limits,
    guard: Guard,
    choose: Chooser,
    *,
    new: bool,
) -> Plan | Status | list[Problem]:
    """The run's plan, written now or before; or its rejection before, or what rejects it now."""
    if not new:
        written = run.find_plan()
        if written is not None:
            return written
        status = run.status()
        if status is not None and status.state is State.REJECTED:
            return status
    inputs = survey_input(manifest, run.objects, limits)
    found = plan_run(run.folder.run, manifest, inputs, limits, choose)
    if isinstance(found, Plan):
        dated = found.model_copy(update={"planned_at": utc_now()})
        return guard(found, manifest, limits) or run.plan_once(dated)
    return found


def _whole(error: InputError) -> Problem:
    """A problem that no part of the manifest causes."""
    return Problem("", error.message, None, error.hint, error.code)


def survey_input(manifest: Manifest, store: Readable, limits: Limits) -> RunInputs:
    """Look at a run's input; a model that fits into no rank is refused unread."""
    engine = choose_engine(manifest.inference.engine, limits.engines)
    largest = largest_model_bytes(limits.memory_mb, engine) or None  # what is wrong isn't the model
    return inspect_inputs(
        store,
        manifest.data,
        manifest.model,
        largest_model_bytes=largest,
        functions=limits.functions,
    )


def plan_run(
    run: str,
    manifest: Manifest,
    found: RunInputs,
    limits: Limits,
    choose: Chooser = by_rows,
) -> Plan | list[Problem]:
    """The plan of a surveyed run, or everything that speaks against it.

    Args:
        choose: The number of ranks where the manifest says `auto`.
    """
    rows = limit_rows([p.rows for p in found.partitions], manifest.inference.limit_rows)
    batch_size = manifest.inference.batch_size
    wanted = manifest.inference.world_size
    world_size = choose(manifest, found, limits) if wanted == "auto" else wanted
    world_size, fewer = used_ranks(world_size, rows, batch_size)
    channel, warnings = _choose_channel(manifest.fmi.channel, world_size, limits)
    row_bytes = max((p.row_bytes for p in found.partitions), default=0)
    memory_mb = projected_memory_mb(
        found.model.bytes if found.model else 0,
        row_bytes,
        batch_size,
        choose_engine(manifest.inference.engine, limits.engines),
    )
    problems = list(found.problems)
    if found.partitions or not problems:
        problems += refusals(sum(rows), world_size, channel, limits, memory_mb)
        if limits.functions:
            counts = (sum(rows), world_size, len(found.partitions))
            bands = found.model.bands if found.model else BANDS
            problems += too_much_to_merge(*counts, limits.functions, bands)
            if manifest.output.hats:
                problems += too_much_for_hats(*counts[:2], limits.functions, bands)
    if not manifest.output.prefix.startswith(limits.output_prefixes):
        problems.append(_no_prefix(manifest.output.prefix, limits))
    problems += _no_engine(manifest.inference, limits)
    problems += _no_precision(manifest.inference, limits)
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
        warnings=[*manifest.warnings, *found.warnings, *fewer, *warnings],
        check_pixels=found.check_pixels,
        output_prefixes=limits.output_prefixes,
        engines=limits.engines,
        architecture=limits.architecture,
    )


def _no_engine(inference: Inference, limits: Limits) -> list[Problem]:
    engine = choose_engine(inference.engine, limits.engines)
    if engine in limits.engines:
        return []
    message = f"the engine {engine} is not installed in this deployment"
    hint = f"it has {', '.join(limits.engines)}"
    return [Problem("/inference/engine", message, inference.engine, hint, "no-engine")]


def _no_precision(inference: Inference, limits: Limits) -> list[Problem]:
    """Whether the processor has a precision, only a rank can tell."""
    engine = choose_engine(inference.engine, limits.engines)
    if inference.precision == "float32" or engine == BF16_ENGINE:
        return []
    other = f", or the engine {BF16_ENGINE}" if BF16_ENGINE in limits.engines else ""
    hint = f"use float32{other}"
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
    warning = (
        f"only {limits.world_size} of {world_size} ranks can run at once, "
        "so ranks will not communicate (fmi.channel=none)"
    )
    hint = "no more can run at once here (InferConcurrency, or the account's concurrency)"
    return "none", [f"{warning}: {hint}"]


def _run(store: Store, upload: Upload, job: str, prefix: str) -> RunStore:
    run = run_id(job, upload.at.bucket, upload.at.key, upload.revision)
    return RunStore(store, RunFolder(upload.at.bucket, prefix, run))


def _claim(upload: Upload, manifest: Manifest) -> dict[str, Any]:
    return {
        "source": {"uri": upload.at.uri, "revision": upload.revision},
        "manifest": manifest.model_dump(mode="json"),
    }


def _running(folder: RunFolder, upload: Upload, plan: Plan) -> Status:
    return Status(
        run=folder.run,
        state=State.RUNNING,
        manifest=upload.at.uri,
        updated_at=utc_now(),
        world_size=plan.world_size,
        rows_in=plan.rows,
        warnings=plan.announced,
    )


def _start(
    executions: SFNClient,
    arn: str,
    run: RunStore,
    upload: Upload,
    plan: Plan,
    limits: Limits,
) -> None:
    name = run.folder.run
    run.items_once(plan)
    document = execution_input(run.folder, upload.at.uri, plan, limits)
    try:
        with translated(f"the execution of {name} did not start"):
            executions.start_execution(stateMachineArn=arn, name=name, input=json.dumps(document))
    except InputError as error:
        if error.code != "execution-exists":
            raise


def _reject(run: RunStore, upload: Upload, problems: list[Problem]) -> Outcome:
    """Say why there is no run, unless another delivery of the event has started it."""
    folder = run.folder
    status = Status(
        run=folder.run,
        state=State.REJECTED,
        manifest=upload.at.uri,
        updated_at=utc_now(),
        problems=tuple(p.as_dict() for p in problems),
    )
    found = run.reject(status)
    if found is not None and found.state is not State.REJECTED:
        return Outcome(folder.run, found.state, False, folder.status.uri)
    return Outcome(folder.run, State.REJECTED, found is None, folder.status.uri, tuple(problems))


def _rejected(folder: RunFolder, status: Status) -> Outcome:
    """What an earlier delivery of the event was answered."""
    problems = tuple(Problem(**problem) for problem in status.problems)
    return Outcome(folder.run, State.REJECTED, False, folder.status.uri, problems)
