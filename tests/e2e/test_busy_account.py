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

from cosmic.client.stack import of_local
from cosmic.contracts.location import Location
from cosmic.costs.bill import TRANSITIONS_OF_A_LOOK
from cosmic.data.synth.dataset import Sample, write_dataset
from cosmic_local.stack import LocalStack
from process_support.waiting import until

from .conftest import CHECKPOINT, ROOT, Cosmic, Run

ACCOUNT, RANKS, HELD, ROWS = 10, 8, 6, 64
TRIES = 4  # that a rank has for what is broken
MANY, FEW_RANKS = 30, 3
FIRST_ASKS = 3  # to get a place beside others that ask at the same moment
LOOKS_A_MINUTE = 6 / 5  # of all who wait and aren't woken (tests/functional/test_admission.py)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cosmic]:
    """The product in an account of ten."""
    data = tmp_path_factory.mktemp("data")
    write_dataset(data, Sample("catalog"), ROWS)
    template = ROOT / "template.yaml"
    with LocalStack(template=template, rendezvous=True, concurrency=ACCOUNT) as stack:
        made = Cosmic(stack, of_local(stack), data, rows=ROWS)
        made.store.upload(CHECKPOINT, Location(made.bucket, "models/tiny.safetensors"))
        first = min(data.iterdir(), key=lambda path: path.name)
        made.store.upload(first, Location(made.bucket, f"data/{first.name}"))
        yield made


def drop(cosmic: Cosmic, ranks: int = RANKS) -> Run:
    """A run that, unless told otherwise, needs all the room there is."""
    sections = {"inference": {"world_size": ranks, "batch_size": 8}, "fmi": {"timeout_s": 60}}
    return cosmic.drop(cosmic.manifest(**sections))


def held(cosmic: Cosmic, run: str) -> list[int]:
    """Processes that serve ranks of a run."""
    serving = cosmic.stack.running()
    return [int(one["pid"]) for one in serving if json.loads(one["event"]).get("run") == run]


def failed_calls(cosmic: Cosmic) -> list[Any]:
    """Invocations of `init` that an alarm would count."""
    return [one for one in cosmic.stack.invocations("InitFunction") if one.outcome != "ok"]


def asked(cosmic: Cosmic) -> list[Any]:
    """Invocations of `init` by executions that want room."""
    return [one for one in cosmic.stack.invocations("InitFunction") if one.source == "states"]


def entered(cosmic: Cosmic, run: Run) -> list[str]:
    """What became of the states of a run's execution, in order."""
    steps = cosmic.stack.client("stepfunctions")
    arn = run.wait().execution
    events = steps.get_execution_history(executionArn=arn, maxResults=1000)["events"]
    return [str(event["type"]) for event in events]


@pytest.fixture(scope="module")
def waited(small: Cosmic) -> list[Run]:
    """Two runs that were dropped at once, and have ended."""
    runs = [drop(small) for _ in range(2)]
    assert [run.wait().state for run in runs] == ["SUCCEEDED"] * len(runs)
    return runs


def test_a_run_that_waits_fails_no_invocation(small: Cosmic, waited: list[Run]) -> None:
    looks = len(asked(small))
    assert looks == len(waited) + 1, "one waited, and was woken"
    assert not any("TaskTimedOut" in entered(small, run) for run in waited)
    assert failed_calls(small) == []
    assert "No application metrics" not in small.stack.logs("InitFunction")
    bills = [json.loads(run.object("metrics.json"))["bill"]["lines"] for run in waited]
    steps = [int(b["formula"].split()[0]) for lines in bills for b in lines if "Step" in b["item"]]
    assert max(steps) - min(steps) == TRANSITIONS_OF_A_LOOK * (looks - len(waited))


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_thirty_manifests_at_once_all_succeed(
    small: Cosmic, waited: list[Run], measured: Callable[[str], None]
) -> None:
    assert waited
    asked_before = len(asked(small))
    began = time.monotonic()
    with ThreadPoolExecutor(MANY) as hands:
        runs = list(hands.map(lambda _: drop(small, FEW_RANKS), range(MANY)))
    statuses = [run.wait() for run in runs]
    minutes = (time.monotonic() - began) / 60
    assert [(s.state, s.rows_out) for s in statuses] == [("SUCCEEDED", ROWS)] * MANY
    assert failed_calls(small) == []
    looks = len(asked(small)) - asked_before
    measured(f"{MANY} runs looked for room {looks} times in {minutes:.1f} minutes")
    woken = MANY  # once each, after which it looks
    assert MANY <= looks <= MANY * FIRST_ASKS + woken + LOOKS_A_MINUTE * minutes


def test_a_rank_outlasts_another_function_that_holds_the_account(
    small: Cosmic, waited: list[Run]
) -> None:
    other, client = waited[0].folder.run, small.stack.client("lambda")
    name = small.stack.functions["InferFunction"].name
    event = {"bucket": small.bucket, "prefix": "runs/", "run": other, "attempt": 1}

    def hold(rank: int) -> None:
        """A rank that waits for others, which never come."""
        client.invoke(FunctionName=name, Payload=json.dumps({**event, "rank": rank}).encode())

    with ThreadPoolExecutor(HELD) as holders:
        for rank in range(HELD):
            holders.submit(hold, rank)
        pids = until(lambda: (seen := held(small, other)) and len(seen) == HELD and seen, 60)
        before = small.stack.throttles().get(name, 0)
        run = drop(small)
        too_many = TRIES * (RANKS - (ACCOUNT - HELD))
        try:
            until(lambda: small.stack.throttles().get(name, 0) > before + too_many, 60)
        finally:
            for pid in pids:
                os.kill(pid, signal.SIGKILL)
    status = run.wait()
    assert (status.state, status.rows_out) == ("SUCCEEDED", ROWS), status
    assert failed_calls(small) == []
