"""A deployment's data go for good, and only when nobody writes any more."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from cosmic.errors import InputError
from cosmic_cli.delete_data import remove_data
from cosmic_cli.target import Target

WAITING = {"StartAt": "W", "States": {"W": {"Type": "Wait", "Seconds": 3600, "End": True}}}


@pytest.fixture
def target(aws: Callable[[str], Any], bucket: str) -> Target:
    role = "arn:aws:iam::123456789012:role/r"
    made = aws("stepfunctions").create_state_machine(
        name=bucket, definition=json.dumps(WAITING), roleArn=role
    )
    outputs = {"DataBucketName": bucket, "PipelineArn": made["stateMachineArn"]}
    return Target(aws, outputs, poll_s=0.1)


def test_every_version_and_marker_goes_with_the_bucket(target: Target) -> None:
    s3 = target.client("s3")
    for version in range(3):
        s3.put_object(Bucket=target.bucket, Key="data/a", Body=str(version).encode())
    s3.put_object(Bucket=target.bucket, Key="data/b", Body=b"b")
    s3.delete_object(Bucket=target.bucket, Key="data/b")
    assert remove_data(target) == 5
    with pytest.raises(ClientError, match=r"404|NoSuchBucket"):
        s3.head_bucket(Bucket=target.bucket)


def test_more_than_a_request_takes_goes_too(
    target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cosmic_cli.delete_data.MOST_PER_REQUEST", 3)
    s3 = target.client("s3")
    for key in range(10):
        s3.put_object(Bucket=target.bucket, Key=f"data/{key}", Body=b"x")
    assert remove_data(target) == 10


def test_an_empty_bucket_goes(target: Target) -> None:
    assert remove_data(target) == 0


def test_nothing_is_deleted_while_runs_go_on(target: Target) -> None:
    steps = target.client("stepfunctions")
    steps.start_execution(stateMachineArn=target.pipeline_arn, name="busy")
    target.client("s3").put_object(Bucket=target.bucket, Key="data/a", Body=b"a")
    with pytest.raises(InputError, match=r"1 runs go on: busy"):
        remove_data(target)
    target.client("s3").head_object(Bucket=target.bucket, Key="data/a")
