"""Which runs there are: Step Functions knows their order, and their folders know how they ended."""

from __future__ import annotations

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import Any

from cosmic.client.snapshots import read_status
from cosmic.client.stack import Stack
from cosmic.contracts.layout import RunFolder
from cosmic.contracts.status import State, Status
from cosmic.errors import InputError
from cosmic.storage.aws_errors import translated
from cosmic.storage.objects import Store

READERS = 8
DAMAGED = "DAMAGED"
RESUMED = re.compile(r"-r\d+$")


@dataclass(frozen=True)
class ListedRun:
    """A run in a list.

    Attributes:
        state: That of its status; of its execution if it has none under the prefix; `DAMAGED` if
            it has one that can't be read.
        execution: ARN of its latest execution.
        started_at, stopped_at: Of that execution, UTC ISO 8601.
    """

    run: str
    state: str
    execution: str
    started_at: str
    stopped_at: str | None
    world_size: int | None = None
    rows_in: int | None = None
    rows_out: int | None = None


def list_runs(stack: Stack, prefix: str, limit: int) -> list[ListedRun]:
    """The runs whose executions were started last, latest first.

    Raises:
        InputError: Step Functions or S3 refuses the request.
        TransientError: they can't be reached.
    """
    latest: dict[str, dict[str, Any]] = {}
    for execution in _executions(stack):
        latest.setdefault(RESUMED.sub("", execution["name"]), execution)
        if len(latest) > limit:
            break
    store = stack.store()
    with ThreadPoolExecutor(READERS) as pool:
        wanted = islice(latest.items(), limit)
        return list(pool.map(lambda item: _listed(store, stack.bucket, prefix, *item), wanted))


def _executions(stack: Stack) -> Iterator[dict[str, Any]]:
    pages = stack.client("stepfunctions").get_paginator("list_executions")
    with translated("the runs can't be listed"):
        for page in pages.paginate(stateMachineArn=stack.pipeline_arn):
            yield from sorted(page["executions"], key=lambda e: e["startDate"], reverse=True)


def _listed(
    store: Store, bucket: str, prefix: str, run: str, execution: dict[str, Any]
) -> ListedRun:
    status, state = _status(store, RunFolder(bucket, prefix, run), execution)
    stopped = execution.get("stopDate")
    ended = status is not None and status.state is not State.RUNNING
    return ListedRun(
        run=run,
        state=state,
        execution=execution["executionArn"],
        started_at=execution["startDate"].isoformat(timespec="seconds"),
        stopped_at=stopped.isoformat(timespec="seconds") if stopped and ended else None,
        world_size=status.world_size if status else None,
        rows_in=status.rows_in if status else None,
        rows_out=status.rows_out if status else None,
    )


def _status(
    store: Store, folder: RunFolder, execution: dict[str, Any]
) -> tuple[Status | None, str]:
    """A run's status and state; one that can't be read hides no other run."""
    try:
        status = read_status(store, folder)
    except InputError as error:
        if error.code != "damaged":
            raise
        return None, DAMAGED
    return status, status.state.value if status is not None else execution["status"]
