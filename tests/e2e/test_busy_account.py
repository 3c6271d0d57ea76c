"""A new account: ten invocations at once, which other functions and other runs want too."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from cosmic.store import Location
from cosmic_cli.observing import execution_arn
from cosmic_cli.stack.local import LocalStack
from cosmic_cli.synth.dataset import Sample, write_dataset
from cosmic_cli.target import local_target

from .conftest import CHECKPOINT, ROOT, Cosmic, Run

ACCOUNT, RANKS, HELD, ROWS = 10, 8, 6, 64
MORE_THAN_TRANSIENT = 4  # tries that a rank has for what is broken


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cosmic]:
    """The product in an account of ten."""
    data = tmp_path_factory.mktemp("data")
    write_dataset(data, Sample("catalog"), ROWS)
    template = ROOT / "template.yaml"
    with LocalStack(template=template, rendezvous=True, concurrency=ACCOUNT) as stack:
        made = Cosmic(stack, local_target(stack), data, rows=ROWS)
        made.store.upload(CHECKPOINT, Location(made.bucket, "models/tiny.safetensors"))
        first = min(data.iterdir(), key=lambda path: path.name)
        made.store.upload(first, Location(made.bucket, f"data/{first.name}"))
        yield made


def drop(cosmic: Cosmic) -> Run:
    """A run that needs all the room there is."""
    sections = {"inference": {"world_size": RANKS, "batch_size": 8}, "fmi": {"timeout_s": 60}}
    return cosmic.drop(cosmic.manifest(**sections))


def until(found: Callable[[], Any], timeout_s: float = 60.0) -> Any:
    """What is found, as soon as it is."""
    give_up = time.monotonic() + timeout_s
    while not (seen := found()):
        assert time.monotonic() < give_up, "it did not come"
        time.sleep(0.05)
    return seen


def held(cosmic: Cosmic, run: str) -> list[int]:
    """Processes that serve ranks of a run."""
    serving = cosmic.stack.running()
    return [int(one["pid"]) for one in serving if json.loads(one["event"]).get("run") == run]


def most_tries(cosmic: Cosmic, run: str) -> int:
    """How often the rank that was refused most often was refused."""
    steps = cosmic.target.client("stepfunctions")
    if run not in cosmic.executions():
        return 0
    arn = execution_arn(cosmic.target, run)
    maps = steps.list_map_runs(executionArn=arn)["mapRuns"]
    ranks = steps.list_executions(mapRunArn=maps[0]["mapRunArn"])["executions"] if maps else []
    refused = [
        sum(
            "TooManyRequests" in event.get("taskFailedEventDetails", {}).get("error", "")
            for event in steps.get_execution_history(executionArn=rank["executionArn"])["events"]
        )
        for rank in ranks
    ]
    return max(refused, default=0)


def failed_calls(cosmic: Cosmic) -> list[Any]:
    """Invocations of `init` that an alarm would count."""
    return [one for one in cosmic.stack.invocations("InitFunction") if one.outcome != "ok"]


def test_runs_that_wait_fail_no_invocation(small: Cosmic) -> None:
    runs = [drop(small) for _ in range(3)]
    ended = [run.wait() for run in runs]
    assert [status.state for status in ended] == ["SUCCEEDED"] * 3
    assert failed_calls(small) == []
    assert "No application metrics" not in small.stack.logs("InitFunction")
    asked = [one for one in small.stack.invocations("InitFunction") if one.source == "states"]
    assert len(runs) < len(asked) < 30, "some waited, and did not hammer"
    bills = [json.loads(run.object("metrics.json"))["bill"]["lines"] for run in runs]
    steps = [line["formula"] for lines in bills for line in lines if "Step" in line["item"]]
    assert len(set(steps)) > 1, "who waited pays for its looks"


def test_a_rank_outlasts_another_function_that_holds_the_account(small: Cosmic) -> None:
    other = drop(small)
    assert other.wait().state == "SUCCEEDED"
    client = small.stack.client("lambda")
    name = small.stack.functions["InferFunction"].name
    event = {"bucket": small.bucket, "prefix": "runs/", "run": other.folder.run, "attempt": 1}

    def hold(rank: int) -> None:
        """A rank that waits for others, which never come."""
        client.invoke(FunctionName=name, Payload=json.dumps({**event, "rank": rank}).encode())

    with ThreadPoolExecutor(HELD) as holders:
        for rank in range(HELD):
            holders.submit(hold, rank)
        pids = until(lambda: (p := held(small, other.folder.run)) and len(p) == HELD and p)
        run = drop(small)
        until(lambda: most_tries(small, run.folder.run) >= MORE_THAN_TRANSIENT)
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
    status = run.wait()
    assert (status.state, status.rows_out) == ("SUCCEEDED", ROWS), status
    assert failed_calls(small) == []
