"""A run's executions: finding them, stopping them, and starting new ones for what is missing."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from cosmic.client.changed_input import refuse_changed
from cosmic.client.limits import limits_of
from cosmic.client.snapshots import execution_arn
from cosmic.client.stack import Stack
from cosmic.contracts.layout import RunFolder
from cosmic.contracts.plan import Plan
from cosmic.contracts.status import State, Status, utc_now
from cosmic.errors import InputError
from cosmic.planning.execution_input import execution_input
from cosmic.storage.aws_errors import AWS_FAILURES, as_cosmic_error, translated
from cosmic.storage.run_store import RunStore

log = logging.getLogger(__name__)
STOPPED_BY = {"error": "Cancelled", "cause": "cosmic cancel"}


@dataclass(frozen=True)
class Resumed:
    """What was started again.

    Attributes:
        ranks: Ranks that are computed again; if there are none, only the merge is repeated.
        execution: ARN of the new execution, or an empty string.
    """

    ranks: tuple[int, ...]
    execution: str


def cancel(stack: Stack, folder: RunFolder, status: Status) -> str:
    """Stop a run's execution; `aggregate` then writes the final status.

    Returns:
        The execution's ARN.

    Raises:
        InputError: the run has ended, or has no execution.
    """
    if status.state.final:
        message = f"{folder.run} has ended already: {status.state.value}"
        raise InputError(message, code="not-running")
    arn = execution_arn(stack, folder.run, status)
    steps = stack.client("stepfunctions")
    hint = f"nothing runs; `{stack.command('resume', folder.run)}` starts it"
    with _translated(arn, hint):
        steps.stop_execution(executionArn=arn, **STOPPED_BY)
    log.info("stopped %s", arn)
    return arn


def resume(stack: Stack, folder: RunFolder, status: Status) -> Resumed:
    """Compute the ranks of a run that are missing or damaged, and merge again.

    A rank is kept only if its shard has the checksum that its record gives.

    The ranks that are computed again don't talk to each other, because the others are gone. A run
    that has a plan but no execution, because it was never started or Step Functions has forgotten
    it, is started as planned if it has no results yet.

    Raises:
        InputError: nothing is missing, or nothing can be started: the run goes on, was rejected,
            or all that is missing is of partitions that have changed.
    """
    arn = execution_arn(stack, folder.run, status)
    described = _described(stack, arn)
    _refuse(stack, folder, status, described)
    run = RunStore(stack.store(), folder)
    plan = run.plan()
    missing = missing_ranks(run, plan)
    if described:
        document = json.loads(described["input"])
    else:
        document = execution_input(folder, status.manifest, plan, limits_of(stack))
    if not missing:
        run.announce_resumed(_running(status, arn), status)
        _merge_again(stack, document, arn, described)
        return Resumed((), "")
    refuse_changed(run.objects, plan, missing)
    as_planned = described is None and len(missing) == plan.world_size
    run.replan(plan if as_planned else _alone(plan), missing)
    begun = described is not None or status.state.final
    name = next_name(folder.run, arn) if begun else arn.rpartition(":")[2]
    new = execution_arn(stack, name)
    run.announce_resumed(_running(status, new), status)
    document["concurrency"] = min(document["concurrency"], len(missing))
    with _translated(new):
        stack.client("stepfunctions").start_execution(
            stateMachineArn=stack.pipeline_arn, name=name, input=json.dumps(document)
        )
    log.info("resumed %s as %s: %d ranks", folder.run, new, len(missing))
    return Resumed(missing, new)


def next_name(run: str, execution: str) -> str:
    """The name of the execution that follows another one of the same run."""
    _, resumed, number = execution.rpartition(":")[2].removeprefix(run).rpartition("-r")
    return f"{run}-r{int(number) + 1 if resumed else 1}"


def missing_ranks(run: RunStore, plan: Plan) -> tuple[int, ...]:
    """Ranks whose shard or record is not there or is damaged."""
    whole = run.whole_ranks(plan.world_size)
    return tuple(rank for rank in range(plan.world_size) if rank not in whole)


def _refuse(
    stack: Stack, folder: RunFolder, status: Status, described: dict[str, Any] | None
) -> None:
    run = folder.run
    if described is not None and described["status"] == "RUNNING":
        hint = f"`{stack.command('watch', run)}` follows it"
        raise InputError(f"{run} is still running", code="still-running", hint=hint)
    if status.state is State.SUCCEEDED:
        raise InputError(f"{run} has succeeded: nothing is missing", code="nothing-missing")
    if status.state is State.REJECTED:
        message = f"{run} was rejected, so there is nothing to resume"
        hint = (
            f"`{stack.command('status', run)}` says why; correct the manifest and submit it again"
        )
        raise InputError(message, code="rejected", hint=hint)


def _described(stack: Stack, arn: str) -> dict[str, Any] | None:
    """An execution as Step Functions knows it; None if it doesn't, or no longer."""
    try:
        with translated(arn):
            found: dict[str, Any] = stack.client("stepfunctions").describe_execution(
                executionArn=arn
            )
    except InputError as error:
        if error.code != "no-execution":
            raise
        return None
    return found


def _merge_again(
    stack: Stack, document: dict[str, Any], arn: str, described: dict[str, Any] | None
) -> None:
    started: datetime = described["startDate"] if described else datetime.now(UTC)
    event = {"run": document, "execution": arn, "started_at": started.isoformat()}
    name = stack.outputs["AggregateFunctionName"]
    with _translated(name):
        stack.client("lambda").invoke(
            FunctionName=name, InvocationType="Event", Payload=json.dumps(event).encode()
        )


def _alone(plan: Plan) -> Plan:
    return plan.model_copy(update={"channel": "none", "gather": False})


def _running(status: Status, execution: str) -> Status:
    """The status of a run that goes on: its old end is taken back."""
    return Status(
        run=status.run,
        state=State.RUNNING,
        manifest=status.manifest,
        updated_at=utc_now(),
        execution=execution,
        world_size=status.world_size,
        rows_in=status.rows_in,
        warnings=status.warnings,
    )


@contextmanager
def _translated(what: str, hint: str = "") -> Iterator[None]:
    try:
        yield
    except AWS_FAILURES as error:
        found = as_cosmic_error(what, error)
        if found.code == "no-execution":
            message = f"there is no execution {what}"
            raise InputError(message, code=found.code, hint=hint or found.hint) from error
        raise found from error
