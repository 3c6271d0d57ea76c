"""`resume` that dies after any of its writes: repeated, it ends as if it had not been disturbed."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.client import BaseClient

from cosmic.client.executions import cancel, resume
from cosmic.client.snapshots import execution_arn
from cosmic.contracts.status import State
from cosmic.errors import InputError
from functional.test_no_execution import Planned, planned

__all__ = ["planned"]
READS = ("Get", "Head", "List", "Describe")
WRITES = ["PutObject", "PutObject", "PutObject", "PutObject", "StartExecution"]


class Died(BaseException):
    """The process ends here: nothing catches it."""


def die_after(write: int, patch: pytest.MonkeyPatch) -> list[str]:
    """End the process after a write, counted from 1; returns the writes as they are done."""
    call: Any = vars(BaseClient)["_make_api_call"]
    done: list[str] = []

    def counted(self: Any, operation: str, arguments: Any) -> Any:
        reply = call(self, operation, arguments)
        if not operation.startswith(READS):
            done.append(operation)
            if len(done) == write:
                raise Died
        return reply

    patch.setattr(BaseClient, "_make_api_call", counted)
    return done


def failed(planned: Planned) -> str:
    """Let two ranks of four fail; returns the ARN of the execution that resumes them."""
    for rank in (0, 1):
        planned.finish(rank)
    first = execution_arn(planned.target, planned.folder.run)
    planned.write(state=State.FAILED, execution=first)
    return f"{first}-r1"


def assert_resumed(planned: Planned, execution: str) -> None:
    status = planned.status
    assert (status.state, status.execution) == (State.RUNNING, execution)
    assert planned.plan.channel == "none"
    assert json.loads(planned.store.get(planned.folder.ranks)) == [{"rank": 2}, {"rank": 3}]
    assert planned.described(execution)["status"] == "RUNNING"


def test_these_are_all_its_writes(planned: Planned) -> None:
    execution = failed(planned)
    with pytest.MonkeyPatch.context() as patch:
        done = die_after(0, patch)
        resume(planned.target, planned.folder, planned.status)
    assert done == WRITES
    assert_resumed(planned, execution)


@pytest.mark.parametrize("write", range(1, len(WRITES) + 1))
def test_it_is_repeated_and_can_be_cancelled(planned: Planned, write: int) -> None:
    execution = failed(planned)
    with pytest.MonkeyPatch.context() as patch:
        die_after(write, patch)
        with pytest.raises(Died):
            resume(planned.target, planned.folder, planned.status)
    if write < len(WRITES):
        resume(planned.target, planned.folder, planned.status)
    else:
        with pytest.raises(InputError, match="is still running"):
            resume(planned.target, planned.folder, planned.status)
    assert_resumed(planned, execution)
    assert cancel(planned.target, planned.folder, planned.status) == execution
    assert planned.described(execution)["status"] == "ABORTED"
