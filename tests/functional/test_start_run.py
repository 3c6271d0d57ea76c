"""From upload to execution, against real S3 and Step Functions APIs."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from cosmic.contracts.layout import run_id
from cosmic.contracts.location import Location, parse_uri
from cosmic.contracts.manifest import Manifest, parse_manifest
from cosmic.contracts.plan import Limits, Plan, parse_plan
from cosmic.contracts.status import State, Status, parse_status, utc_now
from cosmic.costs.budget import over_budget
from cosmic.errors import InputError, Problem, TransientError
from cosmic.planning.events import uploads
from cosmic.planning.start_run import Outcome, Upload, start_run, start_runs
from cosmic.storage.objects import Store

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

EVENTS = Path(__file__).parents[2] / "events"
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
    tiny_checkpoint: bytes,
) -> dict[str, Any]:
    for i in range(3):
        put_partition(f"d/{i}.safetensors", make_columns(100, seed=i, size=8))
    store.put(Location(bucket, "models/m"), tiny_checkpoint)
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


def test_a_manifest_that_was_deleted_after_its_upload_is_read_by_its_version(
    s3: Any, bucket: str, manifest: Any, start: Start
) -> None:
    key = "manifests/deleted.json"
    put = s3.put_object(Bucket=bucket, Key=key, Body=json.dumps(manifest))["VersionId"]
    s3.delete_object(Bucket=bucket, Key=key)  # leaves a delete marker
    assert start(Upload(Location(bucket, key), put, put)).state is State.RUNNING
    s3.delete_object(Bucket=bucket, Key=key, VersionId=put)
    with pytest.raises(InputError):
        start(Upload(Location(bucket, key), put, "later"))


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
    manifest["inference"] = {
        "world_size": 9,
        "batch_size": 16,
        "engine": "torch",
        "precision": "bf16",
    }
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
    assert "only 4 of 6 ranks can run at once" in status.warnings[0]
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


def test_a_resumed_runs_items_are_left_alone_by_a_late_event(
    store: Store, manifest: Any, drop: Any, start: Start
) -> None:
    upload = drop(manifest)
    at = parse_uri(start(upload).status_uri.replace("status.json", "ranks.json"))
    store.put(at, b'[{"rank": 2}]')
    start(upload)
    assert store.get(at) == b'[{"rank": 2}]'


def test_a_rejected_upload_stays_rejected_when_its_input_is_completed(
    store: Store, bucket: str, manifest: Any, drop: Any, start: Start, state_machine: Any
) -> None:
    there = Location(bucket, "models/m")
    manifest["model"]["uri"] += "-late"
    upload = drop(manifest)
    first = start(upload)
    store.put(Location(bucket, "models/m-late"), store.get(there))
    second = start(upload)
    assert rejected(store, second, state_machine) == {"/model/uri": "not-found"}
    assert (first.new, second.new) == (True, False)
    assert second.problems == first.problems
    assert start(drop(manifest, name="again")).state is State.RUNNING


def test_of_two_deliveries_at_once_the_one_that_started_the_run_is_believed(
    store: Store,
    manifest: Any,
    drop: Any,
    start: Start,
    state_machine: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The other one looked before the input was complete, and wrote its answer in between."""
    upload = drop(manifest)
    status = parse_uri(start(drop(manifest, name="other")).status_uri)

    client, arn = state_machine

    def overtaken(**arguments: Any) -> Any:
        run = run_id("test", upload.at.bucket, upload.at.key, upload.revision)
        at = Location(status.bucket, f"runs/{run}/status.json")
        answer = Status(run=run, state=State.REJECTED, manifest=upload.at.uri, updated_at=utc_now())
        store.put(at, answer.model_dump_json().encode())
        return begin(**arguments)

    begin = client.start_execution
    monkeypatch.setattr(client, "start_execution", overtaken)
    outcome = start_run(upload, store, client, arn, LIMITS)
    assert parse_status(store.get(parse_uri(outcome.status_uri))).state is State.RUNNING


def test_a_start_that_aws_refuses_for_good_is_rejected_with_its_words(
    store: Store, manifest: Any, drop: Any, state_machine: Any
) -> None:
    client, arn = state_machine
    outcome = start_run(drop(manifest), store, client, arn + "-gone", LIMITS)
    assert rejected(store, outcome, state_machine) == {"": "no-state-machine"}
    assert "StateMachineDoesNotExist" in outcome.problems[0].message


def test_limits_that_aws_refuses_to_tell_end_in_a_status_too(
    store: Store, manifest: Any, drop: Any, state_machine: Any
) -> None:
    def refused() -> Limits:
        raise InputError("AccessDeniedException", code="access-denied")

    client, arn = state_machine
    outcome = start_run(drop(manifest), store, client, arn, refused)
    assert rejected(store, outcome, state_machine) == {"": "access-denied"}
    assert outcome.run.startswith("test-")


def test_more_ranks_than_batches_are_not_started(
    store: Store, manifest: Any, drop: Any, start: Start
) -> None:
    manifest["inference"] = {"world_size": 10_000, "batch_size": 64}
    status = parse_status(store.get(parse_uri(start(drop(manifest)).status_uri)))
    said = "6 ranks run, not 10000: there is no more than 6 batches of 64 rows"
    assert (status.state, status.world_size) == (State.RUNNING, 6)
    assert status.warnings[:1] == (said,)


def test_each_upload_of_an_event_is_handled_for_itself(
    bucket: str, manifest: Any, drop: Any, start: Start, state_machine: Any
) -> None:
    broken = Upload(Location("no bucket <here>", "manifests/m.json"), "e+1")
    busy = Upload(Location(bucket, "manifests/busy.json"), "e+1")

    def one(upload: Upload) -> Outcome:
        if upload is busy:
            raise TransientError("503")
        return start(upload)

    outcomes, errors = start_runs([broken, busy, drop(manifest)], one)
    assert [o.state for o in outcomes] == [State.RUNNING]
    assert [type(e) for e in errors] == [TransientError, InputError]
    assert executions(state_machine) == [outcomes[0].run]


BAD_CHARACTER = b'"\\ud800"'
HOSTILE = {
    "half a pair as a value": b'{"version": 1, "job": %s}' % BAD_CHARACTER,
    "half a pair as a name": b'{"version": 1, %s: 1}' % BAD_CHARACTER,
    "half a pair in a good field": b'{"version": 1, "job": "j", "model": {"uri": '
    b'"s3://bkt/\\ud800"}, "data": {"uri": "s3://bkt/d/"}}',
    "900 levels": b'{"version": 1, "job": ' + b"[" * 900 + b"]" * 900 + b"}",
    "900 levels of objects": b'{"a": ' * 900 + b"1" + b"}" * 900,
    "200 levels": b'{"version": ' + b"[" * 200 + b"]" * 200 + b"}",
    "endless number": b'{"version": 1e999}',
    "huge number": b'{"version": ' + b"9" * 4000 + b"}",
    "huger number": b'{"version": ' + b"9" * 5000 + b"}",
    "no UTF-8": b'{"version": "\xff"}',
    "too long": b" " * ((1 << 20) + 1),
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_a_manifest_that_json_can_hardly_hold_is_rejected_like_any_other(
    store: Store, drop: Any, start: Start, state_machine: Any, text: bytes
) -> None:
    assert rejected(store, start(drop(text)), state_machine)


def test_partitions_that_s3_refuses_are_named_where_the_manifest_names_them(
    store: Store, bucket: str, manifest: Any, drop: Any, start: Start, state_machine: Any
) -> None:
    good = f"s3://{bucket}/d/0.safetensors"
    manifest["data"] = {"partitions": [good, f"s3://{bucket}/none", "s3://no-such-bucket/1"]}
    assert rejected(store, start(drop(manifest)), state_machine) == {
        "/data/partitions/1": "not-found",
        "/data/partitions/2": "no-bucket",
    }


def test_an_engine_that_is_not_installed_is_refused(
    store: Store, manifest: Any, drop: Any, start: Start, state_machine: Any
) -> None:
    manifest["inference"]["engine"] = "torch"
    limits = LIMITS.model_copy(update={"engines": ("openvino",)})
    outcome = start(drop(manifest), limits)
    assert rejected(store, outcome, state_machine) == {"/inference/engine": "no-engine"}
    assert outcome.problems[0].hint == "it has openvino"


def test_where_ranks_lack_openvino_auto_is_the_engine_that_they_have(
    store: Store, manifest: Any, drop: Any, start: Start, state_machine: Any
) -> None:
    arm = {"engines": ("onnxruntime",), "architecture": "arm64"}
    limits = LIMITS.model_copy(update=arm)
    outcome = start(drop(manifest), limits)
    assert (outcome.state, outcome.problems) == (State.RUNNING, ())
    manifest["inference"]["engine"] = "openvino"
    refused = start(drop(manifest), limits)
    assert [p.code for p in refused.problems] == ["no-engine"]


def test_both_upload_events_start_the_same_run_as_they_are_given(
    store: Store, s3: S3Client, bucket: str, manifest: Any, start: Start, state_machine: Any
) -> None:
    """`sam local invoke` reads them from `events/`, where they can't know an object's version."""
    (put,) = uploads(json.loads((EVENTS / "s3-put.json").read_bytes()))
    (bridged,) = uploads(json.loads((EVENTS / "s3-eventbridge.json").read_bytes()))
    s3.create_bucket(Bucket=put.at.bucket)
    s3.put_bucket_versioning(Bucket=put.at.bucket, VersioningConfiguration={"Status": "Enabled"})
    asked = parse_manifest((EVENTS / "manifest.json").read_bytes())
    store.put(put.at, (EVENTS / "manifest.json").read_bytes())
    store.put(parse_uri(asked.model.uri), store.get(parse_uri(manifest["model"]["uri"])))
    partition = parse_uri(f"{asked.data.uri}0.safetensors")
    store.put(partition, store.get(Location(bucket, "d/0.safetensors")))
    first, second = start(bridged), start(put)
    assert (first.state, first.problems) == (State.RUNNING, ())
    assert (first.run, first.new, second.run, second.new) == (first.run, True, first.run, False)
    assert executions(state_machine) == [first.run]


def test_a_run_that_may_cost_too_much_is_rejected_before_anything_starts(
    store: Store, manifest: Any, drop: Any, state_machine: Any
) -> None:
    client, arn = state_machine

    def guard(plan: Plan, checked: Manifest, limits: Limits) -> list[Problem]:
        return over_budget(plan, checked.limits, limits)

    def start(**cost: float) -> Outcome:
        return start_run(drop({**manifest, "limits": cost}), store, client, arn, LIMITS, guard)

    rejected = start(max_cost_usd=0.0001)
    assert (rejected.state, executions(state_machine)) == (State.REJECTED, [])
    status = parse_status(store.get(parse_uri(rejected.status_uri)))
    assert [p["code"] for p in status.problems] == ["too-expensive"]
    assert "$0.000100" in status.problems[0]["message"]
    assert start(max_cost_usd=0.01).state is State.REJECTED
    assert start(max_cost_usd=0.01, rows_per_s=200.0).state is State.RUNNING
    assert start(max_cost_usd=10).state is State.RUNNING
