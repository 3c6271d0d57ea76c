"""The whole stack: a template deployed, an upload that runs a state machine over processes."""

from __future__ import annotations

import base64
import json
import os
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import psutil
import pytest
from botocore.exceptions import ClientError

from cosmic_local.stack import LocalStack, attach
from process_support.waiting import until

from .conftest import Machine, behind_a_proxy

ITEMS = [{"rank": rank} for rank in range(4)]


@pytest.fixture
def name() -> str:
    """A run's name."""
    return f"run-{uuid.uuid4().hex[:12]}"


def of_run(stack: LocalStack, machine: Machine, name: str) -> list[Any]:
    """The invocations of a run."""
    return [r for r in stack.invocations() if r.execution == machine.execution(name)]


# Deployed as the template says


def test_outputs_are_resolved(stack: LocalStack) -> None:
    assert stack.outputs == {
        "Bucket": "cosmic-data-123456789012",
        "Machine": "arn:aws:states:us-east-1:123456789012:stateMachine:cosmic-machine",
        "LostUrl": f"{stack.endpoint_url}/123456789012/cosmic-Lost",
    }


def test_functions_are_as_the_template_says(stack: LocalStack) -> None:
    assert stack.functions["Rank"].memory_mb == 192
    found = stack.client("lambda").get_function(FunctionName="cosmic-Rank")
    assert found["Configuration"]["Timeout"] == 20
    assert found["Configuration"]["Handler"] == "rank.handler"
    assert found["Concurrency"]["ReservedConcurrentExecutions"] == 6


def test_what_has_no_part_in_a_run_is_named(stack: LocalStack) -> None:
    assert stack.info.left_out["FirstManifestPermission"] == "AWS::Lambda::Permission"


def test_roles_have_the_templates_policies(stack: LocalStack) -> None:
    iam = stack.client("iam")
    (policy,) = iam.list_role_policies(RoleName="cosmic-MachineRole")["PolicyNames"]
    document = iam.get_role_policy(RoleName="cosmic-MachineRole", PolicyName=policy)
    (statement,) = document["PolicyDocument"]["Statement"]
    assert statement["Resource"] == [stack.functions["Rank"].arn, stack.functions["Last"].arn]


def test_a_secret_can_be_read_by_the_arn_that_the_function_has(stack: LocalStack) -> None:
    answered = stack.client("lambda").invoke(FunctionName="cosmic-First", Payload=b"{}")
    environment = json.load(answered["Payload"])["environment"]
    secret = stack.client("secretsmanager").get_secret_value(SecretId=environment["SECRET"])
    assert len(secret["SecretString"]) == 24
    assert environment["GREETING"] == "hello"


def test_it_can_be_attached_to(stack: LocalStack) -> None:
    assert attach(stack.folder).endpoint_url == stack.endpoint_url
    assert stack.alive


# The Lambda API


def test_invoke_gives_response_and_log(stack: LocalStack) -> None:
    answered = stack.client("lambda").invoke(
        FunctionName=stack.functions["First"].arn, Payload=b'{"x": 1}', LogType="Tail"
    )
    assert (answered["StatusCode"], answered["ExecutedVersion"]) == (200, "$LATEST")
    assert "FunctionError" not in answered
    assert json.load(answered["Payload"])["layer"] == "a layer"
    assert "REPORT RequestId" in base64.b64decode(answered["LogResult"]).decode()
    assert 'served {"x": 1}' in stack.logs("First")


def test_invoke_gives_a_handlers_exception(stack: LocalStack) -> None:
    answered = stack.client("lambda").invoke(FunctionName="cosmic-First", Payload=b'{"raise": "x"}')
    assert answered["FunctionError"] == "Unhandled"
    assert json.load(answered["Payload"])["errorType"] == "BrokenError"


def test_invoke_without_waiting(stack: LocalStack) -> None:
    before = len(stack.invocations("First"))
    mark = uuid.uuid4().hex
    payload = json.dumps({"mark": mark}).encode()
    answered = stack.client("lambda").invoke(
        FunctionName="cosmic-First", InvocationType="Event", Payload=payload
    )
    assert answered["StatusCode"] == 202
    until(lambda: len(stack.invocations("First")) == before + 1)
    assert mark in stack.logs("First")


def test_a_dry_run_runs_nothing(stack: LocalStack) -> None:
    before = len(stack.invocations("First"))
    answered = stack.client("lambda").invoke(FunctionName="cosmic-First", InvocationType="DryRun")
    assert answered["StatusCode"] == 204
    assert len(stack.invocations("First")) == before


def test_an_unknown_function_is_not_found(stack: LocalStack) -> None:
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        stack.client("lambda").invoke(FunctionName="other")


def test_too_many_invocations_are_refused_by_name(stack: LocalStack) -> None:
    payload = json.dumps({"item": {"rank": 0, "sleep_s": 1}, "attempt": 0, "run": ""}).encode()

    def invoke(_: int) -> str:
        client = stack.client("lambda")
        client.meta.events.register("needs-retry.lambda.Invoke", lambda **_: False)
        try:
            client.invoke(FunctionName="cosmic-Rank", Payload=payload)
        except ClientError as error:
            status = error.response["ResponseMetadata"]["HTTPStatusCode"]
            return f"{status} {error.response['Error']['Code']}"
        return "ok"

    clients = 8
    with ThreadPoolExecutor(clients) as threads:
        answers = list(threads.map(invoke, range(clients)))
    assert answers.count("429 TooManyRequestsException") >= 1
    assert answers.count("ok") >= 6


# S3


def test_only_manifests_start_something(stack: LocalStack, machine: Machine, name: str) -> None:
    before = len(stack.invocations("First"))
    machine.put(f"items/{name}.json", ITEMS)
    machine.put(f"manifests/{name}.txt", {})
    machine.put(f"other/manifests/{name}.json", {})
    document = {"name": name, "items_key": f"items/{name}.json", "world_size": 4}
    version = machine.put(f"manifests/{name} +ü.json", document)["VersionId"]
    described = until(lambda: started(machine, name))
    assert machine.end(described["executionArn"])["status"] == "SUCCEEDED"
    (record,) = stack.invocations("First")[before:]
    assert (record.outcome, record.source) == ("ok", "s3")
    answered = stack.client("lambda").invoke(FunctionName="cosmic-First", Payload=b"{}")
    assert version
    assert answered["StatusCode"] == 200


def started(machine: Machine, name: str) -> dict[str, Any] | None:
    """The execution of a run, once there is one."""
    try:
        found: dict[str, Any] = machine.steps.describe_execution(
            executionArn=machine.execution(name)
        )
    except machine.steps.exceptions.ExecutionDoesNotExist:
        return None
    return found


def test_an_upload_does_not_wait_for_the_function(machine: Machine) -> None:
    before = time.monotonic()
    machine.put("manifests/slow.json", {"no": "name"})
    assert time.monotonic() - before < 0.5


def test_an_event_that_fails_for_good_reaches_the_queue(
    stack: LocalStack, machine: Machine
) -> None:
    machine.put("manifests/bad.json", {"no": "name"})
    sqs = stack.client("sqs")

    def received() -> Any:
        answered = sqs.receive_message(QueueUrl=stack.outputs["LostUrl"], MaxNumberOfMessages=10)
        bodies = [json.loads(message["Body"]) for message in answered.get("Messages", [])]
        keys = [b["requestPayload"]["Records"][0]["s3"]["object"]["key"] for b in bodies]
        return bodies[keys.index("manifests/bad.json")] if "manifests/bad.json" in keys else None

    body = until(received)
    assert body["requestContext"]["approximateInvokeCount"] == 2
    assert body["responsePayload"]["errorType"] == "KeyError"
    stored = body["requestPayload"]["Records"][0]["s3"]["object"]
    assert stored["versionId"]
    assert stored["sequencer"]
    assert body in stack.failed_events()


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("bytes=0-99", (0, 100)),
        ("bytes=5000-6999", (5000, 7000)),
        ("bytes=9999-9999", (9999, 10_000)),
        ("bytes=9000-20000", (9000, 10_000)),
        ("bytes=9000-", (9000, 10_000)),
        ("bytes=-10", (9990, 10_000)),
        ("bytes=7-3", (0, 10_000)),
    ],
)
def test_a_range_is_those_bytes(
    stack: LocalStack, machine: Machine, asked: str, expected: tuple[int, int]
) -> None:
    body = bytes(n * 37 % 251 for n in range(10_000))
    s3 = stack.client("s3")
    s3.put_object(Bucket=machine.bucket, Key="ranges", Body=body)
    start, stop = expected
    found = s3.get_object(Bucket=machine.bucket, Key="ranges", Range=asked)
    assert found["Body"].read() == body[start:stop]
    assert found["ContentLength"] == stop - start
    assert found.get("ContentRange", "bytes 0-9999/10000") == f"bytes {start}-{stop - 1}/10000"
    assert s3.get_object(Bucket=machine.bucket, Key="ranges")["Body"].read() == body


def test_a_range_behind_the_end_is_refused(stack: LocalStack, machine: Machine) -> None:
    s3 = stack.client("s3")
    s3.put_object(Bucket=machine.bucket, Key="short", Body=b"abc")
    with pytest.raises(ClientError, match="InvalidRange"):
        s3.get_object(Bucket=machine.bucket, Key="short", Range="bytes=3-5")


def test_large_objects_take_no_descriptors_and_come_back_whole(
    stack: LocalStack, machine: Machine, tmp_path: Path
) -> None:
    """Put in one piece or in parts, in the place of another or copied, then listed and deleted."""
    s3, bucket, keys = stack.client("s3"), machine.bucket, ["large/0", "large/1", "large/2"]
    path = tmp_path / "file"
    body = bytes(range(256)) * (9 << 12)
    path.write_bytes(body)
    s3.put_object(Bucket=bucket, Key=keys[0], Body=b"replaced" * 1000)
    s3.upload_file(str(path), bucket, keys[0])
    s3.put_object(Bucket=bucket, Key=keys[1], Body=body)
    s3.copy_object(Bucket=bucket, Key=keys[2], CopySource=f"{bucket}/{keys[1]}")
    for _ in range(2):
        listed = s3.list_object_versions(Bucket=bucket, Prefix="large/")["Versions"]
        assert {v["Key"]: v["Size"] for v in listed if v["IsLatest"]} == dict.fromkeys(
            keys, 9 << 20
        )
    for key in keys:
        assert s3.get_object(Bucket=bucket, Key=key)["Body"].read() == body
    kept = {str(path) for path in stack.folder.glob("tmp/object-*")}
    assert len(kept) >= len(keys)
    assert not kept & {file.path for file in psutil.Process(stack.info.pid).open_files()}
    s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": key} for key in keys]})
    assert s3.list_objects_v2(Bucket=bucket, Prefix="large/")["KeyCount"] == 0


def test_a_conditional_put_has_one_winner(stack: LocalStack, machine: Machine, name: str) -> None:
    barrier = threading.Barrier(8)

    def claim(_: int) -> str:
        s3 = stack.client("s3")
        barrier.wait()
        try:
            s3.put_object(Bucket=machine.bucket, Key=f"claims/{name}", Body=b"x", IfNoneMatch="*")
        except ClientError as error:
            return str(error.response["Error"]["Code"])
        return "won"

    with ThreadPoolExecutor(8) as threads:
        answers = sorted(threads.map(claim, range(8)))
    assert answers == ["PreconditionFailed"] * 7 + ["won"]


# Step Functions


def test_a_map_runs_its_items_at_once_in_a_process_each(
    stack: LocalStack, machine: Machine, name: str
) -> None:
    output = machine.run(name, [{"rank": rank, "sleep_s": 0.7} for rank in range(5)])
    assert [item["rank"] for item in output["ranks"]] == list(range(5))
    assert {item["run"] for item in output["ranks"]} == {name}
    assert {item["helper"] for item in output["ranks"]} == {"helper"}
    assert len({item["pid"] for item in output["ranks"]}) == 5
    records = [r for r in of_run(stack, machine, name) if r.logical_id == "Rank"]
    spans = [(datetime.fromisoformat(r.start), datetime.fromisoformat(r.end)) for r in records]
    assert max(start for start, _ in spans) < min(end for _, end in spans)
    assert [r.logical_id for r in of_run(stack, machine, name)][-1] == "Last"


def test_max_concurrency_is_taken_from_the_input(
    stack: LocalStack, machine: Machine, name: str
) -> None:
    items = [{"rank": rank, "sleep_s": 0.2} for rank in range(4)]
    machine.run(name, items, world_size=1)
    records = [r for r in of_run(stack, machine, name) if r.logical_id == "Rank"]
    spans = sorted((r.start, r.end) for r in records)
    slack = timedelta(milliseconds=2)
    for (_, end), (start, _) in pairwise(spans):
        assert datetime.fromisoformat(start) >= datetime.fromisoformat(end) - slack


def test_a_named_error_is_retried_and_the_attempt_is_known(
    stack: LocalStack, machine: Machine, name: str
) -> None:
    output = machine.run(name, [{"rank": 0, "fail_until": 2}, {"rank": 1, "die_until": 1}])
    assert [item["attempt"] for item in output["ranks"]] == [2, 1]
    outcomes = sorted(r.outcome for r in of_run(stack, machine, name) if r.logical_id == "Rank")
    assert outcomes == ["error", "error", "exit", "ok", "ok"]


def test_an_error_without_a_retrier_is_not_retried(
    stack: LocalStack, machine: Machine, name: str
) -> None:
    output = machine.run(name, [{"rank": 0, "permanent": True}])
    ranks = [r for r in of_run(stack, machine, name) if r.logical_id == "Rank"]
    assert [r.error_type for r in ranks] == ["PermanentError"]
    assert output["failure"]["Error"] == "States.ExceedToleratedFailureThreshold"
    assert output["ranks"] is None


def test_failures_within_the_tolerance_do_not_fail_the_map(machine: Machine, name: str) -> None:
    items: list[dict[str, Any]] = [{"rank": rank} for rank in range(10)]
    items[3]["permanent"] = True
    output = machine.run(name, items, world_size=5)
    assert output["failure"] is None
    assert sum(item is not None for item in output["ranks"]) == 9


def test_throttled_items_are_retried_until_there_is_room(
    stack: LocalStack, machine: Machine, name: str
) -> None:
    items = [{"rank": rank, "sleep_s": 0.3} for rank in range(9)]
    output = machine.run(name, items)
    assert [item["rank"] for item in output["ranks"]] == list(range(9))
    assert max(item["attempt"] for item in output["ranks"]) >= 1
    assert len([r for r in of_run(stack, machine, name) if r.logical_id == "Rank"]) == 9


def test_a_name_is_used_once(machine: Machine, name: str) -> None:
    machine.run(name, ITEMS[:1])
    with pytest.raises(machine.steps.exceptions.ExecutionAlreadyExists):
        machine.start(name, ITEMS[:1])


def test_the_same_start_twice_is_the_same_execution(machine: Machine, name: str) -> None:
    items = [{"rank": 0, "sleep_s": 0.5}]
    first = machine.start(name, items)
    assert machine.start(name, items) == first
    machine.end(first)


def test_a_proxy_in_the_environment_is_not_asked_for_the_stack(
    stack: LocalStack, machine: Machine, name: str
) -> None:
    """The stack was started with one at which nobody listens, and is used with it here."""
    with behind_a_proxy():
        assert os.environ["HTTP_PROXY"] == os.environ["http_proxy"] == "http://127.0.0.1:9"
        machine.run(name, [{"rank": 0}])
        assert isinstance(stack.running(), list)


def test_a_nameless_execution_gets_a_name_and_a_bad_one_is_refused(machine: Machine) -> None:
    started_ = machine.steps.start_execution(stateMachineArn=machine.arn, input="{}")
    assert uuid.UUID(started_["executionArn"].rsplit(":", 1)[1])
    with pytest.raises(machine.steps.exceptions.InvalidName):
        machine.steps.start_execution(stateMachineArn=machine.arn, name="a b", input="{}")


def test_progress_of_a_map_can_be_followed(machine: Machine, name: str) -> None:
    arn = machine.start(name, [{"rank": 0}, {"rank": 1, "sleep_s": 1.5}])

    def counts() -> Any:
        runs = machine.steps.list_map_runs(executionArn=arn)["mapRuns"]
        return runs and machine.steps.describe_map_run(mapRunArn=runs[0]["mapRunArn"])["itemCounts"]

    seen = until(lambda: (found := counts()) and found["succeeded"] == 1 and found)
    assert (seen["total"], seen["running"]) == (2, 1)
    machine.end(arn)
    assert counts()["succeeded"] == 2
    events = machine.steps.get_execution_history(executionArn=arn)["events"]
    assert (events[0]["type"], events[-1]["type"]) == ("ExecutionStarted", "ExecutionSucceeded")


def test_a_stopped_execution_ends_at_once_with_its_invocations(
    stack: LocalStack, machine: Machine, name: str
) -> None:
    items = [{"rank": rank, "sleep_s": 15} for rank in range(5)]
    arn = machine.start(name, items, world_size=3)

    def serving() -> list[dict[str, Any]]:
        return [r for r in stack.running() if r["execution"] == arn and r["start"]]

    until(lambda: len(serving()) == 3)
    before = time.monotonic()
    machine.steps.stop_execution(executionArn=arn, error="Cancelled", cause="no more")
    described = machine.steps.describe_execution(executionArn=arn)
    assert described["status"] == "ABORTED"
    assert (described["error"], described["cause"]) == ("Cancelled", "no more")
    assert described["stopDate"] - datetime.now(UTC) < timedelta(seconds=5)
    until(lambda: not serving(), 3)
    assert time.monotonic() - before < 5
    time.sleep(0.5)
    assert serving() == []
    assert machine.steps.describe_execution(executionArn=arn)["status"] == "ABORTED"
    assert {r.outcome for r in of_run(stack, machine, name)} == {"stopped"}
    assert len(of_run(stack, machine, name)) == 3


def test_a_state_machine_can_put_json_into_s3(machine: Machine, name: str) -> None:
    put = {
        "Type": "Task",
        "Resource": "arn:aws:states:::aws-sdk:s3:putObject",
        "Parameters": {
            "Bucket": machine.bucket,
            "Key.$": "States.Format('notes/{}.json', $.name)",
            "Body": {"name.$": "$.name", "list": [1, {"x": None}]},
        },
        "ResultPath": None,
        "End": True,
    }
    created = machine.steps.create_state_machine(
        name="noting",
        definition=json.dumps({"StartAt": "Put", "States": {"Put": put}}),
        roleArn="arn:aws:iam::123456789012:role/r",
    )
    started_ = machine.steps.start_execution(
        stateMachineArn=created["stateMachineArn"], input=json.dumps({"name": name})
    )
    assert machine.end(started_["executionArn"])["status"] == "SUCCEEDED"
    body = machine.s3.get_object(Bucket=machine.bucket, Key=f"notes/{name}.json")["Body"].read()
    assert json.loads(body) == {"name": name, "list": [1, {"x": None}]}


def test_an_execution_that_takes_too_long_times_out(stack: LocalStack, machine: Machine) -> None:
    wait = {
        "TimeoutSeconds": 1,
        "StartAt": "W",
        "States": {"W": {"Type": "Wait", "Seconds": 5, "End": True}},
    }
    created = machine.steps.create_state_machine(
        name="slow", definition=json.dumps(wait), roleArn="arn:aws:iam::123456789012:role/r"
    )
    started_ = machine.steps.start_execution(stateMachineArn=created["stateMachineArn"])
    described = machine.end(started_["executionArn"])
    assert described["status"] == "TIMED_OUT"
    assert described["stopDate"] > described["startDate"]


def test_two_runs_at_once_do_not_touch_each_other(machine: Machine, name: str) -> None:
    items = [{"rank": rank, "sleep_s": 0.3} for rank in range(3)]
    arns = [machine.start(f"{name}-{side}", items) for side in "ab"]
    for arn, side in zip(arns, "ab", strict=True):
        output = json.loads(machine.end(arn)["output"])
        assert {item["run"] for item in output["ranks"]} == {f"{name}-{side}"}
