"""`resume` that dies after any of its writes: repeated, it ends as if it had not been disturbed."""

from __future__ import annotations

import json

import pytest

from cosmic.client.executions import cancel, resume
from cosmic.client.snapshots import execution_arn
from cosmic.contracts.status import State
from cosmic.errors import InputError
from fault_support.dying import interrupt, writes_of
from functional.test_no_execution import Planned, planned

__all__ = ["planned"]
WRITES = ["PutObject", "PutObject", "PutObject", "PutObject", "StartExecution"]


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
    assert writes_of(lambda: resume(planned.target, planned.folder, planned.status)) == WRITES
    assert_resumed(planned, execution)


@pytest.mark.parametrize("write", range(1, len(WRITES) + 1))
def test_it_is_repeated_and_can_be_cancelled(planned: Planned, write: int) -> None:
    execution = failed(planned)
    interrupt(lambda: resume(planned.target, planned.folder, planned.status), write)
    if write < len(WRITES):
        resume(planned.target, planned.folder, planned.status)
    else:
        with pytest.raises(InputError, match="is still running"):
            resume(planned.target, planned.folder, planned.status)
    assert_resumed(planned, execution)
    for _ in range(2):  # `cancel` itself writes once, and may be repeated
        stop = writes_of(lambda: cancel(planned.target, planned.folder, planned.status))
        assert stop == ["StopExecution"]
        assert planned.described(execution)["status"] == "ABORTED"
