"""A deployment's data go for good, and only when nobody writes any more."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from cosmic.client.delete_data import remains, remove_data
from cosmic.client.stack import Stack
from cosmic.errors import InputError
from cosmic_cli.commands.destroy import destroy

WAITING = {"StartAt": "W", "States": {"W": {"Type": "Wait", "Seconds": 3600, "End": True}}}


@pytest.fixture
def target(aws: Callable[[str], Any], bucket: str) -> Stack:
    role = "arn:aws:iam::123456789012:role/r"
    made = aws("stepfunctions").create_state_machine(
        name=bucket, definition=json.dumps(WAITING), roleArn=role
    )
    outputs = {"DataBucketName": bucket, "PipelineArn": made["stateMachineArn"]}
    return Stack(aws, outputs, poll_s=0.1)


def test_every_version_and_marker_goes_with_the_bucket(target: Stack) -> None:
    s3 = target.client("s3")
    for version in range(3):
        s3.put_object(Bucket=target.bucket, Key="data/a", Body=str(version).encode())
    s3.put_object(Bucket=target.bucket, Key="data/b", Body=b"b")
    s3.delete_object(Bucket=target.bucket, Key="data/b")
    assert remove_data(target) == 5
    with pytest.raises(ClientError, match=r"404|NoSuchBucket"):
        s3.head_bucket(Bucket=target.bucket)


def test_more_than_a_request_takes_goes_too(target: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cosmic.client.delete_data.MOST_PER_REQUEST", 3)
    s3 = target.client("s3")
    for key in range(10):
        s3.put_object(Bucket=target.bucket, Key=f"data/{key}", Body=b"x")
    assert remove_data(target) == 10


def test_an_empty_bucket_goes(target: Stack) -> None:
    assert remove_data(target) == 0


def test_nothing_is_deleted_while_runs_go_on(target: Stack) -> None:
    steps = target.client("stepfunctions")
    steps.start_execution(stateMachineArn=target.pipeline_arn, name="busy")
    target.client("s3").put_object(Bucket=target.bucket, Key="data/a", Body=b"a")
    with pytest.raises(InputError, match=r"runs in progress: busy"):
        remove_data(target)
    target.client("s3").head_object(Bucket=target.bucket, Key="data/a")


# Of a stack that is half made, half deleted, or gone

ACCOUNT = "123456789012"
QUEUE = {"Type": "AWS::SQS::Queue"}


class Stacks:
    """Stacks in CloudFormation, of the resources that a deployment has come to."""

    def __init__(self, aws: Callable[[str], Any]) -> None:
        self.aws = aws
        self.name = f"cosmic-{uuid.uuid4().hex[:8]}"
        self.bucket = f"{self.name}-data-{ACCOUNT}"

    def make(self, *resources: str, **more: Any) -> None:
        """A stack without outputs."""
        known = {
            "FailedEvents": QUEUE,
            "DataBucket": {
                "Type": "AWS::S3::Bucket",
                "DeletionPolicy": "RetainExceptOnCreate",
                "Properties": {"BucketName": self.bucket},
            },
            "Pipeline": {
                "Type": "AWS::StepFunctions::StateMachine",
                "Properties": {
                    "StateMachineName": f"{self.name}-pipeline",
                    "DefinitionString": json.dumps(WAITING),
                    "RoleArn": f"arn:aws:iam::{ACCOUNT}:role/r",
                },
            },
        }
        template = {"Resources": {name: known[name] for name in resources} | more}
        self.aws("cloudformation").create_stack(
            StackName=self.name, TemplateBody=json.dumps(template)
        )

    def fill(self, region: str | None = None) -> None:
        """An object in the bucket, which is made if it isn't there."""
        s3 = self.aws("s3")
        place = {"CreateBucketConfiguration": {"LocationConstraint": region}} if region else {}
        s3.create_bucket(Bucket=self.bucket, **place)
        s3.put_object(Bucket=self.bucket, Key="runs/x", Body=b"x")

    def exists(self) -> bool:
        """Whether the bucket is there."""
        return self.bucket in [b["Name"] for b in self.aws("s3").list_buckets()["Buckets"]]

    def destroy(self, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
        """What `cosmic destroy` says."""
        destroy(self.name, yes=True, as_json=True)
        said: dict[str, Any] = json.loads(capsys.readouterr().out)
        return said


@pytest.fixture
def stacks(aws: Callable[[str], Any], aws_endpoint: str, monkeypatch: pytest.MonkeyPatch) -> Stacks:
    settings = {"ENDPOINT_URL": aws_endpoint, "DEFAULT_REGION": "us-east-1"}
    for name, value in {**settings, "ACCESS_KEY_ID": "x", "SECRET_ACCESS_KEY": "x"}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    return Stacks(aws)


@pytest.mark.parametrize(
    "made",
    [
        ("FailedEvents", "DataBucket", "Pipeline"),
        ("FailedEvents", "DataBucket"),
        ("DataBucket",),
        ("FailedEvents",),
        (),
    ],
)
def test_destroy_can_be_repeated_whatever_is_left_of_the_stack(
    stacks: Stacks, capsys: pytest.CaptureFixture[str], made: tuple[str, ...]
) -> None:
    if made:
        stacks.make(*made)
    if "DataBucket" in made:
        stacks.fill()
    deleted = {"bucket": stacks.bucket, "versions_deleted": 1}
    nothing = {"bucket": None, "versions_deleted": 0}
    assert stacks.destroy(capsys) == (deleted if "DataBucket" in made else nothing)
    assert not stacks.exists()
    assert stacks.destroy(capsys) == nothing
    if "Pipeline" in made:
        remains_of = remains(stacks.name, None, None)
        stacks.aws("stepfunctions").delete_state_machine(stateMachineArn=remains_of.pipeline_arn)
        assert stacks.destroy(capsys) == nothing, "the state machine is gone, too"


def test_a_bucket_that_its_stack_left_behind_is_found_by_its_name(
    stacks: Stacks, capsys: pytest.CaptureFixture[str]
) -> None:
    stacks.fill()
    assert stacks.destroy(capsys) == {"bucket": stacks.bucket, "versions_deleted": 1}


def test_a_bucket_in_another_region_is_another_stacks(
    stacks: Stacks, capsys: pytest.CaptureFixture[str]
) -> None:
    stacks.fill("eu-west-1")
    assert stacks.destroy(capsys)["bucket"] is None
    assert stacks.exists()


def test_a_bucket_that_vanishes_meanwhile_is_done(stacks: Stacks) -> None:
    stacks.make("FailedEvents", "DataBucket")
    found = remains(stacks.name, None, None)
    stacks.aws("s3").delete_bucket(Bucket=stacks.bucket)
    assert remove_data(found) == 0


@pytest.mark.parametrize(
    "foreign",
    [
        {"Queue": QUEUE},
        {"DataBucket": {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": "precious-one"}}},
    ],
)
def test_another_programs_stack_is_refused(
    stacks: Stacks, capsys: pytest.CaptureFixture[str], foreign: dict[str, Any]
) -> None:
    stacks.make(**foreign)
    with pytest.raises(InputError) as refused:
        stacks.destroy(capsys)
    assert refused.value.code == "not-cosmic"


def test_runs_of_a_stack_without_outputs_are_seen(stacks: Stacks) -> None:
    stacks.make("DataBucket", "Pipeline")
    found = remains(stacks.name, None, None)
    stacks.aws("stepfunctions").start_execution(stateMachineArn=found.pipeline_arn, name="busy")
    with pytest.raises(InputError, match="runs in progress: busy"):
        remove_data(found)
