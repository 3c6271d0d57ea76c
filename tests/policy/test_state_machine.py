"""The state machine: the States Language, CloudFormation's schema, and rules of our own."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from typing import Any

import cfnlint.api as cfnlint_api
import pytest
from jsonpath_ng.parser import JsonPathParser
from moto.stepfunctions.parser.asl.parse.asl_parser import (
    AmazonStateLanguageParser,
    ASLParserException,
)
from statelint.linter import Linter

from cosmic.contracts.failure_note import parse_failure
from cosmic.contracts.layout import RunFolder
from cosmic.contracts.manifest import Fmi
from cosmic.contracts.plan import Limits, Plan, RankPlan
from cosmic.contracts.status import State, parse_status
from cosmic.costs.bill import (
    TRANSITIONS_OF_A_LOOK,
    TRANSITIONS_OF_A_RANK,
    TRANSITIONS_OF_A_RUN,
)
from cosmic.costs.predict import AGGREGATE_MB
from cosmic.costs.prices import price
from cosmic.costs.simulated_platform import FAILED_BACKOFF, THROTTLED_BACKOFF, Backoff
from cosmic.errors import Problem
from cosmic.planning.admission import Answer, look_after_s
from cosmic.planning.admission_queue import LEASE_S, Sleeper, sleeper_at
from cosmic.planning.execution_input import execution_input

from .conftest import ROOT, Deployed

TEXT = (ROOT / "infra/statemachine/pipeline.asl.json").read_text()
MACHINE: dict[str, Any] = json.loads(TEXT)
INNER = MACHINE["States"]["Infer"]["ItemProcessor"]
STATES = {**MACHINE["States"], **INNER["States"]}
TASKS = {name: s for name, s in STATES.items() if s["Type"] == "Task"}

# What `init` starts an execution with, what states add, and what the Map hands to a rank.
ADMITTED = Answer(True, 0, 0).as_dict()
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
    "admission": ADMITTED,
    "aggregate": {"state": "SUCCEEDED"},
    "Payload": {"state": "SUCCEEDED", **ADMITTED},
}
ITEM = {key: INPUT[key] for key in ("bucket", "prefix", "run", "failure")} | {"rank": 0}
CONTEXT = {
    "Task": {"Token": "t"},
    "Execution": {"Id": "arn", "Name": "n", "StartTime": "t"},
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


def written(state: str, given: dict[str, Any]) -> bytes:
    """What S3 gets of a state that writes an object, from the definition's own parameters."""
    body = _filled(STATES[state]["Parameters"]["Body"], given)
    return json.dumps(body).encode()


def _filled(template: Any, given: dict[str, Any]) -> Any:
    """The payload template with its paths resolved, as the States Language does it."""
    if isinstance(template, list):
        return [_filled(one, given) for one in template]
    if not isinstance(template, dict):
        return template
    return {
        name.removesuffix(".$"): _read(value, given)
        if name.endswith(".$")
        else _filled(value, given)
        for name, value in template.items()
    }


def _read(path: str, given: dict[str, Any]) -> Any:
    of_context = path.startswith("$$")
    (found,) = JsonPathParser().parse(path[of_context:]).find(CONTEXT if of_context else given)
    return found.value


@pytest.mark.parametrize(
    ("cause", "reason"),
    [
        ("the process died", "e: the process died"),
        (json.dumps({"errorMessage": "no memory", "errorType": "X"}), "e: no memory"),
        ("[1]", "e: [1]"),
    ],
)
def test_a_failure_note_of_the_state_machine_keeps_the_contract(cause: str, reason: str) -> None:
    note = parse_failure(written("NoteFailure", ITEM | {"failure": {"Error": "e", "Cause": cause}}))
    assert (note.rank, note.reason) == (0, reason)


def test_failure_notes_are_written_where_aggregate_reads_them() -> None:
    template = STATES["NoteFailure"]["Parameters"]["Key.$"]
    text, *names = template.removeprefix("States.Format(").removesuffix(")").split(", ")
    key = text.strip("'").format(*(_read(name, ITEM) for name in names))
    folder = RunFolder(*(str(ITEM[name]) for name in ("bucket", "prefix", "run")))
    assert key.startswith(folder.at("failures/").key)


def test_the_status_of_a_failed_aggregate_keeps_the_contract() -> None:
    status = parse_status(written("NoteAggregateFailure", INPUT))
    assert (status.state, status.run, status.execution) == (State.FAILED, "r", "arn")
    assert (status.world_size, status.manifest) == (2, "s3://b/m")
    (problem,) = status.problems
    told = Problem(**problem)
    assert (told.code, told.message) == ("e", "c")
    assert problem == told.as_dict()


def test_init_starts_executions_with_that_input() -> None:
    plan = Plan.model_construct(ranks=(RankPlan(rank=0, slices=()), RankPlan(rank=1, slices=())))
    limits = Limits(world_size=2, memory_mb=1769, channels=())
    made = execution_input(RunFolder("b", "runs/", "r"), "s3://b/m", plan, limits)
    assert set(made) == set(INPUT) - {"failure", "admission", "aggregate", "Payload"}


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
EVENTS_OF_A_LOOK = 13  # five of Admit, two of HasRoom, six of WaitForRoom
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


BACKOFFS = THROTTLED_BACKOFF, FAILED_BACKOFF


@pytest.mark.parametrize(("number", "backoff"), list(enumerate(BACKOFFS)))
def test_a_simulated_rank_is_tried_again_as_here(number: int, backoff: Backoff) -> None:
    retry = TASKS["Rank"]["Retry"][number]
    names = ("IntervalSeconds", "BackoffRate", "MaxDelaySeconds", "MaxAttempts")
    assert Backoff(*(retry[name] for name in names)) == backoff
    assert retry["JitterStrategy"] == "FULL", "the simulation draws each pause from 0 on"


def test_the_others_are_told_of_a_lost_rank_while_that_spares_them_their_wait() -> None:
    """Who can't be told within the ranks' patience need not be told any more."""
    busy, broken = TASKS["TellOthers"]["Retry"]
    assert busy["ErrorEquals"] == [BUSY]
    assert set(broken["ErrorEquals"]) == BROKEN
    patience_s = Fmi().timeout_s
    longest_s = sum(
        min(retry["IntervalSeconds"] * retry["BackoffRate"] ** n, retry["MaxDelaySeconds"])
        for retry in (busy, broken)
        for n in range(retry["MaxAttempts"])
    )
    assert longest_s < patience_s / 2
    (caught,) = TASKS["TellOthers"]["Catch"]
    assert (caught["ErrorEquals"], caught["Next"]) == (["States.ALL"], "Done")


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
        waited += look_after_s(0, 1)
        looks += 1
    return looks


def test_waiting_costs_cents() -> None:
    transitions = TRANSITIONS_OF_A_LOOK * _looks_in(MACHINE["TimeoutSeconds"])
    assert transitions * price("state_transition").usd < 0.05


def test_the_state_machine_reads_what_admit_answers() -> None:
    assert set(MACHINE["States"]["Admit"]["ResultSelector"]) == {
        f"{name}.$" for name in Answer(False, 1, 1).as_dict()
    }
    assert MACHINE["States"]["WaitForRoom"]["Next"] == "Admit"


def test_a_run_that_waits_leaves_its_token_where_it_is_looked_for() -> None:
    waits = MACHINE["States"]["WaitForRoom"]
    assert waits["Resource"].endswith(":s3:putObject.waitForTaskToken")
    body = waits["Parameters"]["Body"]
    assert {name.removesuffix(".$") for name in body} == set(Sleeper.model_fields)
    assert set(body.values()) == {"$$.Task.Token"}
    key = sleeper_at("b", "arn:aws:states:r:a:execution:m:NAME").key
    assert key.replace("NAME", "{}") in waits["Parameters"]["Key.$"]
    assert "$$.Execution.Name" in waits["Parameters"]["Key.$"]
    assert waits["TimeoutSecondsPath"] == "$.admission.wait_s"
    ways = [catch["Next"] for catch in waits["Catch"]]
    assert ways == ["Admit", "LookLater"], "without a token it still looks, and not in a tight loop"
    assert MACHINE["States"]["LookLater"]["Next"] == "Admit"


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


def test_aggregate_has_the_memory_that_predictions_are_made_with(deployed: Deployed) -> None:
    properties = deployed().resolver.properties("AggregateFunction")
    assert properties["MemorySize"] == AGGREGATE_MB


# The language: statelint knows its rules, the local stack's interpreter its vocabulary.

# Distributed Maps are younger than what statelint knows of these two.
UNKNOWN_TO_STATELINT = {
    "State Machine.States.Infer.ToleratedFailurePercentage is 100.0 but should be an Integer",
    'Field "InputType" not allowed in State Machine.States.Infer.ItemReader.ReaderConfig',
}


def problems(machine: dict[str, Any]) -> list[str]:
    """What is wrong with a state machine; the interpreter is asked about what passes statelint."""
    if found := [p for p in Linter.validate(machine) if p not in UNKNOWN_TO_STATELINT]:
        return found
    try:
        AmazonStateLanguageParser.parse(json.dumps(machine))
    except (ASLParserException, ValueError) as error:
        return [str(error)]
    return []


Fault = tuple[tuple[str | int, ...], Any, str]
"""Where, what is there instead (`MISSING`: nothing), and the words that name the fault."""
MISSING = "(missing)"
OUTER = ("States",)
WITHIN = ("States", "Infer", "ItemProcessor", "States")
JUDGED = (*OUTER, "Judge", "Choices", 0)
READER = (*OUTER, "Infer", "ItemReader")
PROCESSOR = (*OUTER, "Infer", "ItemProcessor")

FAULTS: list[Fault] = [
    (("StartAt",), "Nowhere", "StartAt value Nowhere not found"),
    (("StartAt",), MISSING, 'does not have required field "StartAt"'),
    (("States",), MISSING, 'State Machine does not have required field "States"'),
    (("TimeoutSeconds",), "a day", 'TimeoutSeconds is "a day"'),
    ((*OUTER, "Lost"), {"Type": "Succeed"}, "No transition found to state State Machine.Lost"),
    ((*OUTER, "Judge", "Default"), "Nowhere", "Nowhere"),
    ((*OUTER, "Judge", "Choices"), MISSING, 'does not have required field "Choices"'),
    ((*OUTER, "Judge", "Choices"), [], "Judge.Choices is empty"),
    ((*JUDGED, "StringIs"), "x", 'Field "StringIs" not allowed'),
    ((*JUDGED, "StringEquals"), MISSING, "Expected a ComparisonFunction"),
    ((*JUDGED, "Variable"), MISSING, "Judge.Choices[0]"),
    ((*OUTER, "Failed", "Next"), "Admit", 'Failed has forbidden field "Next"'),
    ((*OUTER, "Succeeded", "End"), True, 'Field "End" not allowed'),
    ((*OUTER, "Aggregate", "ResultPath"), "aggregate", 'ResultPath is "aggregate"'),
    ((*OUTER, "Aggregate", "TimeoutSeconds"), 0, "Aggregate.TimeoutSeconds is 0"),
    ((*OUTER, "Infer", "ItemProcessor"), MISSING, '"ItemProcessor"]'),
    ((*OUTER, "Infer", "ToleratedFailurePercentage"), 101, "is 101 but allowed ceiling is 100"),
    ((*OUTER, "Infer", "MaxConcurrencyPath"), "ten", 'MaxConcurrencyPath is "ten"'),
    ((*READER, "Resource"), MISSING, 'ItemReader does not have required field "Resource"'),
    ((*READER, "ReaderConfig", "InputType"), "XML", "'XML' is not a valid InputTypeValue"),
    ((*PROCESSOR, "StartAt"), "Nowhere", "StartAt value Nowhere not found"),
    ((*PROCESSOR, "ProcessorConfig", "Mode"), "SPREAD", '"SPREAD"'),
    ((*PROCESSOR, "ProcessorConfig", "ExecutionType"), "SLOW", '"SLOW"'),
    ((*WITHIN, "Done", "End"), MISSING, "Done"),
    ((*WITHIN, "Rank", "Parameters", "Payload", "rank.$"), "rank", 'Field "rank.$"'),
    ((*WITHIN, "NoteFailure", "Parameters", "Key.$"), "States.Form('{}', $.run)", 'Field "Key.$"'),
]


def faults_of_every_state() -> Iterator[Fault]:
    """The same faults in each state, and in each of its retriers and catchers."""
    for where, states in ((OUTER, MACHINE["States"]), (WITHIN, INNER["States"])):
        for name, state in states.items():
            at = (*where, name)
            yield (*at, "Type"), "Errand", '"Errand"'
            yield (*at, "Type"), MISSING, f'{name} does not have required field "Type"'
            yield (*at, "Patience"), 1, f'Field "Patience" not allowed in State Machine.{_dots(at)}'
            if "Next" in state:
                yield (
                    (*at, "Next"),
                    "Nowhere",
                    f'No state found named "Nowhere", referenced at State Machine.{_dots(at)}.Next',
                )
                yield (*at, "Next"), MISSING, name
            if "Resource" in state:
                yield (*at, "Resource"), MISSING, "No Resource declaration"
            for kind in ("Retry", "Catch"):
                for number, rule in enumerate(state.get(kind, [])):
                    yield from _faults_of_a_rule((*at, kind, number), rule)


def _dots(at: tuple[str | int, ...]) -> str:
    return ".".join(map(str, at))


def _faults_of_a_rule(at: tuple[str | int, ...], rule: dict[str, Any]) -> Iterator[Fault]:
    *_, kind, number = at
    place = f"{kind}[{number}]"
    errors = (*at, "ErrorEquals")
    yield errors, MISSING, f'{place} does not have required field "ErrorEquals"'
    yield errors, [], f"{place}.ErrorEquals is empty"
    yield errors, "TransientError", f"{place}.ErrorEquals is "
    yield errors, ["States.Bored"], "'States.Bored'"
    yield errors, ["States.ALL", "TransientError"], "States.ALL"
    yield (*at, "Patience"), 1, 'Field "Patience" not allowed'
    if "Next" in rule:
        yield (*at, "Next"), "Nowhere", 'No state found named "Nowhere"'
    if kind == "Retry":
        yield (*at, "MaxAttempts"), -1, f"{place}.MaxAttempts is -1"
        yield (*at, "BackoffRate"), 0.5, f"{place}.BackoffRate is 0.5"
        yield (*at, "JitterStrategy"), "SOME", f'{place}.JitterStrategy is "SOME"'


def broken(at: tuple[str | int, ...], value: Any) -> dict[str, Any]:
    """Our state machine with one fault."""
    machine: Any = copy.deepcopy(MACHINE)
    inner = machine
    for key in at[:-1]:
        inner = inner[key]
    if value is MISSING:
        del inner[at[-1]]
    else:
        inner[at[-1]] = value
    result: dict[str, Any] = machine
    return result


def test_the_state_machine_has_no_fault() -> None:
    assert problems(MACHINE) == []


def test_what_statelint_does_not_know_is_still_there() -> None:
    assert set(Linter.validate(MACHINE)) == UNKNOWN_TO_STATELINT


@pytest.mark.parametrize(
    "fault", [*FAULTS, *faults_of_every_state()], ids=lambda fault: f"{_dots(fault[0])}={fault[1]}"
)
def test_a_fault_is_named(fault: Fault) -> None:
    at, value, words = fault
    found = problems(broken(at, value))
    assert any(words in problem for problem in found), found


# The type, as CloudFormation will check it when the stack is made.


@pytest.fixture
def wrapped(deployed: Deployed) -> Callable[[str], str]:
    """The text of a template that holds a definition, substituted as the stack does it."""
    properties = deployed().resolver.properties("Pipeline")

    def make(text: str) -> str:
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
        return json.dumps({"Resources": {"Pipeline": resource}})

    return make


def test_it_lints_as_a_state_machine_of_cloudformation(wrapped: Callable[[str], str]) -> None:
    assert lint(wrapped(TEXT)) == []


@pytest.mark.parametrize(
    ("at", "value", "words"),
    [
        ((*OUTER, "Admit", "TimeoutSeconds"), "soon", "'soon' is not of type 'number'"),
        ((*OUTER, "Judge", "Choices", 0, "Next"), MISSING, "'Next' is a required property"),
        ((*PROCESSOR, "StartAt"), "Nowhere", "Missing 'Next' target 'Nowhere'"),
    ],
)
def test_its_linter_names_the_fault_and_nothing_else(
    wrapped: Callable[[str], str], at: tuple[str | int, ...], value: Any, words: str
) -> None:
    (problem,) = lint(wrapped(json.dumps(broken(at, value))))
    assert problem.startswith("E3601 ")
    assert words in problem


def lint(template: str) -> list[str]:
    """What cfn-lint has to say about a template, by rule."""
    found = cfnlint_api.lint(template, regions=["us-east-1"])
    return [f"{match.rule.id} {match.message}" for match in found]
