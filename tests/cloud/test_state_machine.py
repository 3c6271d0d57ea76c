"""The state machine, linted as CloudFormation's own type, and held to Step Functions' limits."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonpath_ng.parser import JsonPathParser

from cosmic.admission import LEASE_S, Answer, look_after_s
from cosmic.cost import (
    TRANSITIONS_OF_A_LOOK,
    TRANSITIONS_OF_A_RANK,
    TRANSITIONS_OF_A_RUN,
    price_table,
)

from .conftest import ROOT, Deployed

TEXT = (ROOT / "statemachine/pipeline.asl.json").read_text()
MACHINE: dict[str, Any] = json.loads(TEXT)
INNER = MACHINE["States"]["Infer"]["ItemProcessor"]
STATES = {**MACHINE["States"], **INNER["States"]}
TASKS = {name: s for name, s in STATES.items() if s["Type"] == "Task"}

# What `init` starts an execution with, what states add, and what the Map hands to a rank.
INPUT = {
    "bucket": "b",
    "prefix": "runs/",
    "run": "r",
    "world_size": 2,
    "concurrency": 2,
    "manifest": "s3://b/m",
    "ranks_key": "k",
    "status_key": "k",
    "failure": {"Error": "e", "Cause": "c"},
    "admission": {"admitted": True, "wait_s": 0, "looks": 0},
    "aggregate": {"state": "SUCCEEDED"},
    "Payload": {"state": "SUCCEEDED", "admitted": True, "wait_s": 0, "looks": 0},
}
ITEM = {key: INPUT[key] for key in ("bucket", "prefix", "run", "failure")} | {"rank": 0}
CONTEXT = {
    "Execution": {"Id": "arn", "StartTime": "t"},
    "State": {"RetryCount": 0, "EnteredTime": "t"},
    "Map": {"Item": {"Value": {"rank": 0}}},
}


def paths(value: Any) -> Iterator[str]:
    """Every JSONPath that a state reads."""
    if isinstance(value, list):
        for item in value:
            yield from paths(item)
    if isinstance(value, dict):
        for key, item in value.items():
            named = key.endswith((".$", "Path")) or key == "Variable"
            if named and key != "ResultPath" and isinstance(item, str):
                yield from _in_intrinsic(item) if item.startswith("States.") else [item]
            elif key != "States":
                yield from paths(item)


def _in_intrinsic(call: str) -> list[str]:
    arguments = call[call.index("(") + 1 : -1].split(", ")
    return [a for a in arguments if a.startswith("$")]


@pytest.mark.parametrize("name", STATES)
def test_paths_lead_to_something(name: str) -> None:
    known = ITEM if name in INNER["States"] else INPUT
    for path in paths(STATES[name]):
        where, document = (path[1:], CONTEXT) if path.startswith("$$.") else (path, known)
        assert JsonPathParser().parse(where).find(document), f"{name}: nothing is at {path}"


def test_init_starts_executions_with_that_input() -> None:
    source = (ROOT / "layers/cosmic/src/cosmic/start.py").read_text()
    for key in set(INPUT) - {"failure", "admission", "aggregate", "Payload"}:
        assert f'"{key}":' in source


@pytest.mark.parametrize("name", TASKS)
def test_no_task_waits_for_ever_and_every_failure_is_caught(name: str) -> None:
    task = TASKS[name]
    service = task["Resource"].rsplit(":::", 1)[1]
    assert "TimeoutSeconds" in task or service.startswith("aws-sdk:")
    caught = [error for catch in task.get("Catch", []) for error in catch["ErrorEquals"]]
    assert "States.ALL" in caught or name.startswith("Note")


@pytest.mark.parametrize("name", [n for n, t in TASKS.items() if "Retry" in t])
def test_retries_are_bounded_and_for_what_may_pass(name: str) -> None:
    for retry in TASKS[name]["Retry"]:
        assert not {"States.ALL", "States.TaskFailed", "States.Timeout", "InputError"} & set(
            retry["ErrorEquals"]
        )
        assert retry["JitterStrategy"] == "FULL"
        assert retry["MaxDelaySeconds"] <= 60
        assert retry["MaxAttempts"] >= 1


BUSY = "Lambda.TooManyRequestsException"
# What AWS names in "Handle transient Lambda service exceptions", and what it may throw besides.
BROKEN = {
    "TransientError",
    "Lambda.ClientExecutionTimeoutException",
    "Lambda.ServiceException",
    "Lambda.AWSLambdaException",
    "Lambda.SdkClientException",
    "Lambda.Unknown",
    "Runtime.ExitError",
    "Sandbox.Timedout",
}
EVENTS_OF_A_TRY = 5  # scheduled, started, failed, and the retry's own
EVENTS_OF_A_LOOK = 9  # of Admit, HasRoom and WaitForRoom
MOST_EVENTS = 25_000


@pytest.mark.parametrize("name", ["Admit", "Rank", "Aggregate"])
def test_busy_and_broken_share_no_attempts(name: str) -> None:
    busy, broken = TASKS[name]["Retry"]
    assert busy["ErrorEquals"] == [BUSY]
    assert set(broken["ErrorEquals"]) == BROKEN
    assert broken["MaxAttempts"] <= 6


@pytest.mark.parametrize("name", ["Admit", "Rank", "Aggregate"])
def test_busy_is_waited_out_for_the_state_machines_whole_time(name: str) -> None:
    busy, _ = TASKS[name]["Retry"]
    mean_s = [
        min(busy["IntervalSeconds"] * busy["BackoffRate"] ** min(n, 99), busy["MaxDelaySeconds"])
        / 2
        for n in range(busy["MaxAttempts"])
    ]
    assert sum(mean_s) > MACHINE["TimeoutSeconds"] == LEASE_S


def test_all_waiting_fits_into_the_history() -> None:
    for machine in (MACHINE, INNER):
        tasks = [task for task in machine["States"].values() if "Retry" in task]
        broken = sum(task["Retry"][1]["MaxAttempts"] + 1 for task in tasks)
        busy_s = MACHINE["TimeoutSeconds"] / (tasks[0]["Retry"][0]["MaxDelaySeconds"] / 2)
        events = EVENTS_OF_A_TRY * (broken + busy_s + 20 * len(tasks))  # 20: before it is slow
        if machine is MACHINE:
            events += EVENTS_OF_A_LOOK * _looks_in(MACHINE["TimeoutSeconds"])
        assert events < MOST_EVENTS


def _looks_in(time_s: float) -> int:
    waited, looks = 0.0, 0
    while waited < time_s:
        waited += look_after_s(0, waited)
        looks += 1
    return looks


def test_waiting_costs_cents() -> None:
    transitions = TRANSITIONS_OF_A_LOOK * _looks_in(MACHINE["TimeoutSeconds"])
    assert transitions * price_table()["state_transition"] < 0.05


def test_the_state_machine_reads_what_admit_answers() -> None:
    assert set(MACHINE["States"]["Admit"]["ResultSelector"]) == {
        f"{name}.$" for name in Answer(False, 1, 1).as_dict()
    }
    assert MACHINE["States"]["WaitForRoom"]["Next"] == "Admit"


def test_the_definition_and_its_names_are_within_limits() -> None:
    assert len(TEXT.encode()) < 1 << 20
    assert all(len(name) <= 80 for name in STATES)
    infer = MACHINE["States"]["Infer"]
    assert infer["MaxConcurrencyPath"] == "$.concurrency"
    assert infer["ItemProcessor"]["ProcessorConfig"]["Mode"] == "DISTRIBUTED"
    assert '"ToleratedFailurePercentage": 100.0' in TEXT


def test_the_bill_counts_the_states_that_a_run_passes() -> None:
    start, ways = "Admit", []
    while start != "Judge":
        ways.append(start)
        state = MACHINE["States"][start]
        start = state["Next"] if "Next" in state else state["Choices"][0]["Next"]
    # Start, each state, and Judge with the end that it chooses.
    assert len([*ways, start]) + 2 == TRANSITIONS_OF_A_RUN
    assert len(["Admit", "HasRoom", "WaitForRoom"]) == TRANSITIONS_OF_A_LOOK
    assert TRANSITIONS_OF_A_RANK == 3  # start, Rank, Done


def test_every_state_is_reached() -> None:
    for machine in (MACHINE, INNER):
        todo, seen = [machine["StartAt"]], set()
        while todo:
            name = todo.pop()
            if name not in seen:
                seen.add(name)
                todo += list(_successors(machine["States"][name]))
        assert seen == set(machine["States"])


def _successors(state: dict[str, Any]) -> Iterator[str]:
    for entry in (state, *state.get("Catch", []), *state.get("Choices", [])):
        if "Next" in entry:
            yield entry["Next"]
    if "Default" in state:
        yield state["Default"]


def test_it_lints_as_a_state_machine_of_cloudformation(deployed: Deployed, tmp_path: Path) -> None:
    properties = deployed().resolver.properties("Pipeline")
    text = TEXT
    for name, value in properties["DefinitionSubstitutions"].items():
        text = text.replace("${" + name + "}", value)
    resource = {
        "Type": "AWS::StepFunctions::StateMachine",
        "Properties": {
            "RoleArn": properties["RoleArn"],
            "StateMachineType": "STANDARD",
            "Definition": json.loads(text),
        },
    }
    path = tmp_path / "wrapped.json"
    path.write_text(json.dumps({"Resources": {"Pipeline": resource}}))
    done = lint(path)
    assert done.returncode == 0, done.stdout


def test_the_linter_would_see_a_broken_state_machine(tmp_path: Path) -> None:
    broken = {"StartAt": "A", "States": {"A": {"Type": "Task", "Resource": "x", "Next": "B"}}}
    resource = {
        "Type": "AWS::StepFunctions::StateMachine",
        "Properties": {"RoleArn": "arn:aws:iam::123456789012:role/r", "Definition": broken},
    }
    path = tmp_path / "wrapped.json"
    path.write_text(json.dumps({"Resources": {"Pipeline": resource}}))
    assert lint(path).returncode != 0


def lint(path: Path) -> subprocess.CompletedProcess[str]:
    cfn_lint = Path(sys.executable).with_name("cfn-lint")
    return subprocess.run([cfn_lint, path], capture_output=True, text=True, check=False)
