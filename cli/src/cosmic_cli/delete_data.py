"""Remove what `sam delete` leaves: the data bucket, with every version of everything in it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from cosmic.errors import InputError, TransientError
from cosmic_cli.target import Target

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

MOST_PER_REQUEST = 1000
EMPTYING_TRIES = 5
PAUSE_S = 1.0


def running(target: Target) -> list[str]:
    """Names of the runs that go on."""
    pages = (
        target.client("stepfunctions")
        .get_paginator("list_executions")
        .paginate(stateMachineArn=target.pipeline_arn, statusFilter="RUNNING")
    )
    return [execution["name"] for page in pages for execution in page["executions"]]


def remove_data(target: Target) -> int:
    """Delete the data bucket and everything in it, for good.

    Returns:
        How many versions and delete markers there were.

    Raises:
        InputError: runs go on, which would write into it.
        TransientError: somebody else goes on writing.
    """
    if names := running(target):
        message = f"{len(names)} runs go on: {', '.join(names[:5])}"
        raise InputError(message, code="runs-go-on", hint="wait for them, or stop them")
    s3 = target.client("s3")
    removed = 0
    for attempt in range(EMPTYING_TRIES):
        time.sleep(attempt * PAUSE_S)
        removed += _empty(s3, target.bucket)
        if _deleted(s3, target.bucket):
            return removed
    message = f"{target.bucket} is written to while it is being emptied"
    raise TransientError(message, hint="stop who writes to it, and try again")


def _empty(s3: S3Client, bucket: str) -> int:
    removed = 0
    for page in s3.get_paginator("list_object_versions").paginate(
        Bucket=bucket, PaginationConfig={"PageSize": MOST_PER_REQUEST}
    ):
        found: list[Any] = [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
        names: list[Any] = [{"Key": o["Key"], "VersionId": o["VersionId"]} for o in found]
        if names:
            reply = s3.delete_objects(Bucket=bucket, Delete={"Objects": names, "Quiet": True})
            _check(bucket, reply.get("Errors", []))
            removed += len(names)
    return removed


def _check(bucket: str, errors: list[Any]) -> None:
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
