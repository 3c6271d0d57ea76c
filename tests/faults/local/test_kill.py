"""Processes killed and frozen under an invocation."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from cosmic_local.errors import StackError
from cosmic_local.stack import LocalStack
from cosmic_local.supervised_process import SupervisedProcess
from process_support.waiting import until

from .conftest import MakeStack, gone

NewChildren = Callable[[], list[psutil.Process]]


def start(stack: LocalStack, name: str, items: list[dict[str, Any]]) -> str:
    """Start the state machine over items."""
    bucket, key = stack.outputs["Bucket"], f"items/{name}.json"
    stack.client("s3").put_object(Bucket=bucket, Key=key, Body=json.dumps(items).encode())
    state = {"bucket": bucket, "items_key": key, "world_size": len(items)}
    started = stack.client("stepfunctions").start_execution(
        stateMachineArn=stack.outputs["Machine"], name=name, input=json.dumps(state)
    )
    return str(started["executionArn"])


def end(stack: LocalStack, arn: str) -> dict[str, Any]:
    """The output of an execution, once it has ended."""
    client = stack.client("stepfunctions")

    def ended() -> Any:
        described = client.describe_execution(executionArn=arn)
        return described["status"] != "RUNNING" and described

    described = until(ended, 30)
    assert described["status"] == "SUCCEEDED", described
    output: dict[str, Any] = json.loads(described["output"])
    return output


def serving(stack: LocalStack, rank: int) -> dict[str, Any]:
    """The running invocation of a rank."""

    def found() -> Any:
        matching = [
            running
            for running in stack.running()
            if running["start"] and json.loads(running["event"])["item"]["rank"] == rank
        ]
        return matching and matching[0]

    running: dict[str, Any] = until(found)
    return running


def test_a_rank_killed_at_work_is_started_again_in_another_process(make_stack: MakeStack) -> None:
    stack = make_stack()
    arn = start(stack, "killed", [{"rank": rank, "sleep_s": 1} for rank in range(3)])
    victim = serving(stack, 1)
    os.kill(victim["pid"], signal.SIGKILL)
    ranks = end(stack, arn)["ranks"]
    assert [item["attempt"] for item in ranks] == [0, 1, 0]
    assert ranks[1]["pid"] != victim["pid"]
    (record,) = [r for r in stack.invocations("Rank") if r.request_id == victim["request_id"]]
    assert (record.outcome, record.error_type) == ("exit", "Runtime.ExitError")
    assert "Runtime exited with error: signal: killed" in Path(record.log).read_text()


def test_a_frozen_rank_ends_at_its_deadline(make_stack: MakeStack) -> None:
    stack = make_stack(parameters={"RankTimeout": "3"})
    arn = start(stack, "frozen", [{"rank": 0, "sleep_s": 1}])
    victim = serving(stack, 0)
    os.kill(victim["pid"], signal.SIGSTOP)
    failure = end(stack, arn)["failure"]
    assert failure["Error"] == "States.ExceedToleratedFailureThreshold"
    (record,) = stack.invocations("Rank")
    assert record.outcome == "timeout"
    assert 3000 <= record.duration_ms < 4500
    assert gone([victim["pid"]])


SERVER = """
import signal, socket, sys, time
port, port_file = int(sys.argv[1]), sys.argv[2]
listener = socket.create_server(("127.0.0.1", port))
open(port_file, "w").write(str(listener.getsockname()[1]))
signal.pause()
"""


@pytest.fixture
def side(tmp_path: Path) -> SupervisedProcess:
    """A server that could be any."""
    (tmp_path / "server_for_test.py").write_text(SERVER)
    return SupervisedProcess(
        "server",
        "server_for_test",
        lambda port, port_file: [str(port), str(port_file)],
        tmp_path,
        {"PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])},
    )


def test_a_server_beside_the_functions_is_restarted_on_its_port(side: SupervisedProcess) -> None:
    side.start()
    port, first = side.port, side.pid
    assert port
    assert first
    os.kill(first, signal.SIGKILL)
    until(lambda: side.restarts == 1 and side.pid not in (None, first))
    assert side.port == port
    second = side.pid
    assert second
    side.stop()
    assert gone([first, second])


def test_a_server_that_does_not_start_says_why(
    tmp_path: Path, side: SupervisedProcess, new_children: NewChildren
) -> None:
    (tmp_path / "server_for_test.py").write_text("raise SystemExit('no such luck')\n")
    before = time.monotonic()
    with pytest.raises(StackError, match="no such luck"):
        side.start()
    assert time.monotonic() - before < 10
    assert new_children() == []


def test_a_server_that_never_listens_is_given_up(
    tmp_path: Path, side: SupervisedProcess, new_children: NewChildren
) -> None:
    (tmp_path / "server_for_test.py").write_text("import time; time.sleep(60)\n")
    with pytest.raises(StackError, match="server did not start"):
        side.start(timeout_s=1)
    assert new_children() == []
