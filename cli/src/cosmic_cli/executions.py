"""A run's executions: found, stopped, started again for what is missing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cosmic.contracts.layout import RunFolder
from cosmic.contracts.plan import Plan
from cosmic.contracts.status import State, Status, utc_now
from cosmic.errors import InputError
from cosmic.storage.aws_errors import AWS_FAILURES, as_cosmic_error
from cosmic.storage.objects import Store
from cosmic_cli.observing import execution_arn, read_plan
from cosmic_cli.target import Target

STOPPED_BY = {"error": "Cancelled", "cause": "cosmic cancel"}


@dataclass(frozen=True)
class Resumed:
    """What was started again.

    Attributes:
        ranks: Ranks that are computed anew; none: the merge alone is done again.
        execution: ARN of the new execution, or an empty string.
    """

    ranks: tuple[int, ...]
    execution: str


def cancel(target: Target, folder: RunFolder, status: Status) -> str:
    """Stop a run's execution; what then writes the final status is `aggregate`.

    Returns:
        The execution's ARN.

    Raises:
        InputError: the run has ended, or has no execution.
    """
    if status.state.final:
        message = f"{folder.run} has ended already: {status.state.value}"
        raise InputError(message, code="not-running")
    arn = execution_arn(target, folder.run, status)
    steps = target.client("stepfunctions")
    with _translated(arn):
        steps.stop_execution(executionArn=arn, **STOPPED_BY)
    return arn


def resume(target: Target, folder: RunFolder, status: Status) -> Resumed:
    """Compute the ranks of a run that are missing, and merge again.

    The ranks that are computed again don't talk to each other: the others are gone.

    Raises:
        InputError: nothing is missing, or nothing can be started: the run goes on, or was rejected.
    """
    arn = execution_arn(target, folder.run, status)
    described = _described(target, arn)
    _refuse(target, folder, status, described["status"])
    store = target.store()
    plan = read_plan(store, folder)
    missing = missing_ranks(store, folder, plan)
    document = json.loads(described["input"])
    if not missing:
        _announce(store, folder, status, arn)
        _merge_again(target, document, described)
        return Resumed((), "")
    _prepare(target, folder, plan, missing)
    name = next_name(folder.run, arn)
    new = execution_arn(target, name)
    _announce(store, folder, status, new)
    document["concurrency"] = min(document["concurrency"], len(missing))
    with _translated(new):
        target.client("stepfunctions").start_execution(
            stateMachineArn=target.pipeline_arn, name=name, input=json.dumps(document)
        )
    return Resumed(missing, new)


def next_name(run: str, execution: str) -> str:
    """The name of the execution that follows another one of the same run."""
    _, resumed, number = execution.rpartition(":")[2].removeprefix(run).rpartition("-r")
    return f"{run}-r{int(number) + 1 if resumed else 1}"


def missing_ranks(store: Store, folder: RunFolder, plan: Plan) -> tuple[int, ...]:
    """Ranks whose shard or record is not there."""
    keys = {o.key for name in ("shards/", "records/") for o in store.list(folder.at(name))}
    world = plan.world_size
    return tuple(
        rank
        for rank in range(world)
        if not {folder.shard(rank, world).key, folder.record(rank, world).key} <= keys
    )


def _refuse(target: Target, folder: RunFolder, status: Status, execution: str) -> None:
    run = folder.run
    if execution == "RUNNING":
        hint = f"`{target.command('watch', run)}` follows it"
        raise InputError(f"{run} is still running", code="still-running", hint=hint)
    if status.state is State.SUCCEEDED:
        raise InputError(f"{run} has succeeded: nothing is missing", code="nothing-missing")


def _described(target: Target, arn: str) -> dict[str, Any]:
    with _translated(arn):
        found: dict[str, Any] = target.client("stepfunctions").describe_execution(executionArn=arn)
    return found


def _merge_again(target: Target, document: dict[str, Any], described: dict[str, Any]) -> None:
    started: datetime = described["startDate"]
    event = {
        "run": document,
        "execution": described["executionArn"],
        "started_at": started.isoformat(),
    }
    name = target.outputs["AggregateFunctionName"]
    with _translated(name):
        target.client("lambda").invoke(
            FunctionName=name, InvocationType="Event", Payload=json.dumps(event).encode()
        )


def _prepare(target: Target, folder: RunFolder, plan: Plan, missing: tuple[int, ...]) -> None:
    """Leave in the run's folder only what the ranks that are missing have to do."""
    store = target.store()
    alone = plan.model_copy(update={"channel": "none", "gather": False})
    store.put(folder.plan, alone.model_dump_json().encode(), "application/json")
    store.put_json(folder.ranks, [{"rank": rank} for rank in missing])
    notes = [o.key for o in store.list(folder.at("failures/"))]
    s3 = target.client("s3")
    for key in notes:
        with _translated(key):
            s3.delete_object(Bucket=folder.bucket, Key=key)


def _announce(store: Store, folder: RunFolder, status: Status, execution: str) -> None:
    """The run goes on: its old end is taken back."""
    running = Status(
        run=status.run,
        state=State.RUNNING,
        manifest=status.manifest,
        updated_at=utc_now(),
        execution=execution,
        world_size=status.world_size,
        rows_in=status.rows_in,
        warnings=status.warnings,
    )
    store.put(folder.status, running.model_dump_json(indent=1).encode(), "application/json")


@contextmanager
def _translated(what: str) -> Iterator[None]:
    try:
        yield
    except AWS_FAILURES as error:
        found = as_cosmic_error(what, error)
        if found.code == "no-execution":
            hint = "it was rejected, or is older than Step Functions remembers; submit it again"
            message = f"there is no execution {what}"
            raise InputError(message, code=found.code, hint=hint) from error
        raise found from error
