"""Remove what `sam delete` leaves: the data bucket, with every version of everything in it.

What is left is found through the stack's resources, not its outputs: a stack whose first deployment
was rolled back has no outputs, nor has one that is half deleted. What has already been deleted is
skipped, so everything here can be repeated.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import boto3
from botocore.exceptions import ClientError

from cosmic.client.stack import Stack
from cosmic.errors import InputError, TransientError
from cosmic.storage.aws_errors import translated

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

MOST_PER_REQUEST = 1000
EMPTYING_TRIES = 5
PAUSE_S = 1.0
BUCKET, PIPELINE = "DataBucketName", "PipelineArn"
FOUND_AS = {
    ("DataBucket", "AWS::S3::Bucket"): BUCKET,
    ("Pipeline", "AWS::StepFunctions::StateMachine"): PIPELINE,
}
# Some of these are there as soon as a deployment has begun, for they need nothing else.
MARKS = {"DataBucket", "FailedEvents", "FmiSecret", "InitLogs", "Pipeline", "PipelineLogs"}


def remains(stack: str, profile: str | None, region: str | None) -> Stack:
    """What is left of a stack in an AWS account: its bucket and its state machine, if they exist.

    If the stack is gone, or no longer lists its bucket, the bucket is found by its name.

    Raises:
        InputError: the stack is not Cosmic's, or may not be looked at.
        TransientError: AWS can't be reached.
    """
    with translated("AWS"):
        session = boto3.Session(profile_name=profile, region_name=region)
        client: Any = session.client
        cloudformation, s3 = client("cloudformation"), client("s3")
    with translated(f"stack {stack!r}"):
        resources = list(_resources(cloudformation, stack))
    _check(stack, resources)
    outputs = {
        FOUND_AS[key]: resource["PhysicalResourceId"]
        for resource in resources
        if (key := (resource["LogicalResourceId"], resource["ResourceType"])) in FOUND_AS
        and resource.get("PhysicalResourceId")
        and resource["ResourceStatus"] != "DELETE_COMPLETE"
    }
    by_name = f"{stack}-data-{_account(client)}"
    if outputs.setdefault(BUCKET, by_name) != by_name:
        raise _not_cosmic(stack, f"its DataBucket is {outputs[BUCKET]}")
    if not _is_here(s3, by_name):
        del outputs[BUCKET]
    return Stack(client, outputs, poll_s=2.0)


def _resources(cloudformation: Any, stack: str) -> Iterator[dict[str, Any]]:
    """A stack's resources; none if there is no such stack, or no longer."""
    try:
        for page in cloudformation.get_paginator("list_stack_resources").paginate(StackName=stack):
            yield from page["StackResourceSummaries"]
    except ClientError as error:
        if error.response["Error"]["Code"] != "ValidationError":
            raise


def _check(stack: str, resources: list[dict[str, Any]]) -> None:
    if resources and not MARKS & {resource["LogicalResourceId"] for resource in resources}:
        raise _not_cosmic(stack, "it has none of the resources of Cosmic's template")


def _not_cosmic(stack: str, why: str) -> InputError:
    hint = "name a stack that was deployed from Cosmic's template with --stack"
    return InputError(f"stack {stack!r}: {why}", code="not-cosmic", hint=hint)


def _account(client: Any) -> str:
    with translated("the account"):
        return str(client("sts").get_caller_identity()["Account"])


def _is_here(s3: S3Client, bucket: str) -> bool:
    """Whether there is such a bucket in the region: one elsewhere is another stack's."""
    try:
        with translated(f"s3://{bucket}"):
            found: dict[str, Any] = {**s3.get_bucket_location(Bucket=bucket)}
    except InputError as error:
        if error.code == "no-bucket":
            return False
        raise
    return (found.get("LocationConstraint") or "us-east-1") == s3.meta.region_name


def running(stack: Stack) -> list[str]:
    """Names of the runs that are in progress; none if the state machine is gone."""
    if PIPELINE not in stack.outputs:
        return []
    steps = stack.client("stepfunctions")
    try:
        with translated(stack.pipeline_arn):
            pages = steps.get_paginator("list_executions").paginate(
                stateMachineArn=stack.pipeline_arn, statusFilter="RUNNING"
            )
            return [execution["name"] for page in pages for execution in page["executions"]]
    except InputError as error:
        if error.code == "no-state-machine":
            return []
        raise


def remove_data(stack: Stack) -> int:
    """Delete the data bucket and everything in it, for good; nothing if it is gone already.

    Returns:
        How many versions and delete markers there were.

    Raises:
        InputError: runs go on, which would write into it, or something may not be deleted.
        TransientError: somebody else goes on writing.
    """
    if names := running(stack):
        message = f"runs in progress: {', '.join(names[:5])} ({len(names)} in all)"
        raise InputError(message, code="runs-go-on", hint="wait for them, or stop them")
    if BUCKET not in stack.outputs:
        return 0
    s3 = stack.client("s3")
    removed = 0
    for attempt in range(EMPTYING_TRIES):
        time.sleep(attempt * PAUSE_S)
        try:
            with translated(f"s3://{stack.bucket}"):
                removed += _empty(s3, stack.bucket)
                if _deleted(s3, stack.bucket):
                    return removed
        except InputError as error:
            if error.code == "no-bucket":
                return removed
            raise
    message = f"{stack.bucket} is written to while it is being emptied"
    raise TransientError(message, hint="stop whatever writes to it, and try again")


def _empty(s3: S3Client, bucket: str) -> int:
    removed = 0
    for page in s3.get_paginator("list_object_versions").paginate(
        Bucket=bucket, PaginationConfig={"PageSize": MOST_PER_REQUEST}
    ):
        found: list[Any] = [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
        names: list[Any] = [{"Key": o["Key"], "VersionId": o["VersionId"]} for o in found]
        if names:
            reply = s3.delete_objects(Bucket=bucket, Delete={"Objects": names, "Quiet": True})
            _check_deleted(bucket, reply.get("Errors", []))
            removed += len(names)
    return removed


def _check_deleted(bucket: str, errors: list[Any]) -> None:
    if errors:
        first = errors[0]
        message = f"s3://{bucket}/{first['Key']} can't be deleted: {first['Message']}"
        raise InputError(message, code="access-denied", hint="use a role that may delete")


def _deleted(s3: S3Client, bucket: str) -> bool:
    try:
        s3.delete_bucket(Bucket=bucket)
    except s3.exceptions.ClientError as error:
        if error.response["Error"]["Code"] != "BucketNotEmpty":
            raise
        return False
    return True
