"""From an uploaded manifest to a started execution: once, or not at all with every reason."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cosmic.contracts.layout import RunFolder, job_from_key, run_id
from cosmic.contracts.location import Location
from cosmic.contracts.manifest import MAX_MANIFEST_BYTES, Manifest, parse_manifest
from cosmic.contracts.plan import (
    Limits,
    Plan,
)
from cosmic.contracts.status import State, Status, utc_now
from cosmic.errors import CosmicError, InputError, InvalidInput, Problem, TransientError
from cosmic.planning.execution_input import execution_input
from cosmic.planning.plan_run import Chooser, by_rows, plan_run, survey_input
from cosmic.storage.aws_errors import translated
from cosmic.storage.objects import Store
from cosmic.storage.run_store import RunStore

if TYPE_CHECKING:
    from types_boto3_stepfunctions import SFNClient

DEFAULT_PREFIX = "runs/"
Guard = Callable[[Plan, Manifest, Limits], list[Problem]]


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
        What became of them, and the errors of those that have no answer yet. Errors that may
        disappear if the call is repeated come first.
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
    started once. The status comes last, so a run whose status is RUNNING has an execution. An
    upload that was rejected because of its input stays rejected, even if the input is complete now.

    Args:
        limits: The deployment's limits, or a function that asks AWS for them.
        guard: Finds other problems of a plan, such as its cost, which this package doesn't know.
        choose: Returns the number of ranks if the manifest says `auto`.

    Raises:
        InputError: the manifest is gone, or its bucket refuses the answer.
        TransientError: S3, Lambda or Step Functions failed; another call continues from there.
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
