"""From upload to execution, against real S3 and Step Functions APIs."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from cosmic.errors import InputError
from cosmic.plan import Limits, parse_plan
from cosmic.runs import run_id
from cosmic.start import Outcome, Upload, start_run
from cosmic.status import State, parse_status
from cosmic.store import Location, Store, parse_uri

LIMITS = Limits(world_size=8, memory_mb=1769, channels=("direct",))
Start = Callable[..., Outcome]


@pytest.fixture
def state_machine(aws: Callable[[str], Any], bucket: str) -> tuple[Any, str]:
    client = aws("stepfunctions")
    definition = {"StartAt": "Done", "States": {"Done": {"Type": "Succeed"}}}
    reply = client.create_state_machine(
        name=bucket, definition=json.dumps(definition), roleArn="arn:aws:iam::123456789012:role/r"
    )
    return client, reply["stateMachineArn"]


@pytest.fixture
def manifest(
    bucket: str,
    store: Store,
    put_partition: Callable[..., Location],
    make_columns: Callable[..., Any],
) -> dict[str, Any]:
    for i in range(3):
        put_partition(f"d/{i}.safetensors", make_columns(100, seed=i, size=8))
    store.put(Location(bucket, "models/m"), b"weights")
    return {
        "version": 1,
        "job": "test",
        "model": {"uri": f"s3://{bucket}/models/m"},
        "data": {"uri": f"s3://{bucket}/d/"},
        "inference": {"world_size": 4},
    }


@pytest.fixture
def drop(store: Store, bucket: str) -> Callable[[Any], Upload]:
    def put(document: Any, name: str = "m") -> Upload:
        text = document if isinstance(document, bytes) else json.dumps(document).encode()
        at = Location(bucket, f"manifests/{name}.json")
        store.put(at, text)
        return Upload(at, store.head(at).etag + "+1")

    return put


@pytest.fixture
def start(store: Store, state_machine: tuple[Any, str]) -> Start:
    return lambda upload, limits=LIMITS: start_run(upload, store, *state_machine, limits)


def executions(state_machine: tuple[Any, str]) -> list[str]:
    client, arn = state_machine
    return [e["name"] for e in client.list_executions(stateMachineArn=arn)["executions"]]


def test_a_good_manifest_starts_one_planned_run(
    store: Store, manifest: Any, drop: Any, start: Start, state_machine: Any
) -> None:
    outcome = start(drop(manifest))
    assert (outcome.state, outcome.new) == (State.RUNNING, True)
    assert executions(state_machine) == [outcome.run]
    status = parse_status(store.get(parse_uri(outcome.status_uri)))
    assert (status.state, status.rows_in, status.world_size) == (State.RUNNING, 300, 4)
    folder = outcome.status_uri.removesuffix("status.json")
    plan = parse_plan(store.get(parse_uri(folder + "plan.json")))
    assert [r.rank for r in plan.ranks] == [0, 1, 2, 3]
    assert sum(r.rows for r in plan.ranks) == 300
    items = json.loads(store.get(parse_uri(folder + "ranks.json")))
    assert items == [{"rank": r} for r in range(4)]


def test_the_same_event_twice_starts_one_execution(
    manifest: Any, drop: Any, start: Start, state_machine: Any
) -> None:
    upload = drop(manifest)
    first, second = start(upload), start(upload)
    assert first.run == second.run
    assert (first.new, second.new) == (True, False)
    assert len(executions(state_machine)) == 1


def test_events_at_the_same_time_start_one_execution(
    manifest: Any, drop: Any, start: Start, state_machine: Any
) -> None:
    upload = drop(manifest)
    with ThreadPoolExecutor(4) as pool:
        outcomes = list(pool.map(start, [upload] * 4))
    assert sum(o.new for o in outcomes) == 1
    assert len(executions(state_machine)) == 1


def test_a_duplicate_does_not_overwrite_a_final_status(
    store: Store, manifest: Any, drop: Any, start: Start
) -> None:
    upload = drop(manifest)
    at = parse_uri(start(upload).status_uri)
    store.put(at, b"final")
    start(upload)
    assert store.get(at) == b"final"


def test_dropping_the_manifest_again_is_a_new_run(manifest: Any, drop: Any, start: Start) -> None:
    first = drop(manifest)
    second = Upload(first.at, first.revision.replace("+1", "+2"))
    assert start(first).run != start(second).run


def test_a_version_is_read_even_when_a_newer_one_is_there(
    s3: Any, bucket: str, manifest: Any, start: Start
) -> None:
    key = "manifests/v.json"
    old = s3.put_object(Bucket=bucket, Key=key, Body=json.dumps(manifest))["VersionId"]
    s3.put_object(Bucket=bucket, Key=key, Body=b"{}")
    assert start(Upload(Location(bucket, key), old, old)).state is State.RUNNING


def rejected(store: Store, outcome: Outcome, state_machine: Any) -> dict[str, str]:
    """The pointers and codes of a rejected run's problems, as its status says."""
    assert outcome.state is State.REJECTED
    assert executions(state_machine) == []
    status = parse_status(store.get(parse_uri(outcome.status_uri)))
    assert [p.as_dict() for p in outcome.problems] == list(status.problems)
    return {p["pointer"]: p["code"] for p in status.problems}


def test_a_manifest_that_is_not_json_is_rejected(
    store: Store, drop: Any, start: Start, state_machine: Any
) -> None:
    outcome = start(drop(b"{oops", name="My Survey"))
    assert rejected(store, outcome, state_machine) == {"": "not-json"}
    assert outcome.run.startswith("my-survey-")


def test_input_and_limits_are_reported_together(
    store: Store, manifest: Any, drop: Any, start: Start, state_machine: Any
) -> None:
    manifest["model"]["uri"] += "-missing"
    manifest["inference"] = {"world_size": 9, "engine": "torch", "precision": "bf16"}
    manifest["fmi"] = {"channel": "redis"}
    assert rejected(store, start(drop(manifest)), state_machine) == {
        "/model/uri": "not-found",
        "/inference/world_size": "too-many-ranks",
        "/inference/precision": "no-precision",
        "/fmi/channel": "no-channel",
    }


def test_a_rank_that_would_not_fit_into_memory_is_refused(
    store: Store, manifest: Any, drop: Any, start: Start, state_machine: Any
) -> None:
    small = Limits(world_size=8, memory_mb=128, channels=())
    outcome = start(drop(manifest), small)
    assert rejected(store, outcome, state_machine) == {"/inference/batch_size": "too-little-memory"}
    assert "128 MB" in outcome.problems[0].message


def test_partitions_without_rows_are_refused(
    store: Store,
    bucket: str,
    manifest: Any,
    drop: Any,
    start: Start,
    state_machine: Any,
    put_partition: Callable[..., Location],
    make_columns: Callable[..., Any],
) -> None:
    put_partition("empty/0.safetensors", make_columns(0, size=8))
    manifest["data"]["uri"] = f"s3://{bucket}/empty/"
    assert rejected(store, start(drop(manifest)), state_machine) == {"/data": "no-rows"}


def test_a_manifest_that_is_gone_is_an_error(bucket: str, start: Start) -> None:
    with pytest.raises(InputError, match="not-found"):
        start(Upload(Location(bucket, "manifests/gone.json"), "e+1"))


def test_a_run_carries_on_after_a_crash_between_its_claim_and_its_start(
    store: Store, bucket: str, manifest: Any, drop: Any, start: Start, state_machine: Any
) -> None:
    upload = drop(manifest)
    run = run_id("test", upload.at.bucket, upload.at.key, upload.revision)
    store.put(Location(bucket, f"runs/{run}/manifest.json"), b"claimed, then died")
    outcome = start(upload)
    assert (outcome.run, outcome.new) == (run, False)
    assert parse_plan(store.get(Location(bucket, f"runs/{run}/plan.json"))).rows == 300
    assert executions(state_machine) == [run]


def test_ranks_that_cannot_run_at_once_do_not_talk(
    store: Store, manifest: Any, drop: Any, start: Start, state_machine: Any
) -> None:
    manifest["inference"]["world_size"] = 6
    outcome = start(drop(manifest), LIMITS.model_copy(update={"world_size": 4}))
    assert outcome.state is State.RUNNING
    status = parse_status(store.get(parse_uri(outcome.status_uri)))
    assert "6 ranks run 4 at a time" in status.warnings[0]
    plan = parse_plan(
        store.get(parse_uri(outcome.status_uri.removesuffix("status.json") + "plan.json"))
    )
    assert (plan.world_size, plan.channel, plan.gather) == (6, "none", False)
    assert started_with(state_machine, outcome.run)["concurrency"] == 4


def test_ranks_that_were_told_to_talk_are_refused_when_they_cannot(
    store: Store, manifest: Any, drop: Any, start: Start, state_machine: Any
) -> None:
    manifest["fmi"] = {"channel": "direct"}
    outcome = start(drop(manifest), LIMITS.model_copy(update={"world_size": 3}))
    assert rejected(store, outcome, state_machine) == {"/inference/world_size": "too-many-ranks"}


def test_an_automatic_world_size_is_what_can_run_at_once(
    manifest: Any, drop: Any, start: Start, state_machine: Any
) -> None:
    manifest["inference"] = {"world_size": "auto"}
    outcome = start(drop(manifest), LIMITS.model_copy(update={"world_size": 1}))
    assert started_with(state_machine, outcome.run)["world_size"] == 1


def test_results_go_only_where_the_functions_may_write(
    store: Store, manifest: Any, drop: Any, start: Start, state_machine: Any
) -> None:
    manifest["output"] = {"prefix": "elsewhere/"}
    limits = LIMITS.model_copy(update={"output_prefixes": ("runs/", "results/")})
    outcome = start(drop(manifest), limits)
    assert "/runs/" in outcome.status_uri
    assert rejected(store, outcome, state_machine) == {"/output/prefix": "no-prefix"}


def started_with(state_machine: tuple[Any, str], run: str) -> dict[str, Any]:
    """The input of a run's execution."""
    client, arn = state_machine
    execution = arn.replace(":stateMachine:", ":execution:") + f":{run}"
    document: dict[str, Any] = json.loads(
        client.describe_execution(executionArn=execution)["input"]
    )
    return document
