"""Starts the state machine for an uploaded manifest, or does what an event asks for."""

from __future__ import annotations

import json
import os
import sys
import time
from typing import Any
from urllib.parse import unquote_plus

import boto3
import shared  # type: ignore[import-not-found, unused-ignore]


class BrokenError(Exception):
    """Raised on request."""


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Serve one event."""
    if "Records" in event:
        return _start(event["Records"][0]["s3"])
    if "sleep_s" in event:
        time.sleep(event["sleep_s"])
    if "raise" in event:
        raise BrokenError(event["raise"])
    if "exit" in event:
        sys.exit(event["exit"])
    if "allocate_mb" in event:
        held = bytearray(event["allocate_mb"] << 20)
        time.sleep(30)
        del held
    print("served", json.dumps(event))
    return {
        "pid": os.getpid(),
        "layer": shared.GREETER,
        "request_id": context.aws_request_id,
        "function": context.function_name,
        "left_ms": context.get_remaining_time_in_millis(),
        "tmp": os.environ["TMPDIR"],
        "environment": dict(os.environ),
    }


def _start(record: dict[str, Any]) -> dict[str, Any]:
    bucket, key = record["bucket"]["name"], unquote_plus(record["object"]["key"])
    body = boto3.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read()
    manifest = json.loads(body)
    started = boto3.client("stepfunctions").start_execution(
        stateMachineArn=os.environ["MACHINE"],
        name=manifest["name"],
        input=json.dumps({"bucket": bucket, **manifest}),
    )
    return {"execution": started["executionArn"], "object": record["object"]}
