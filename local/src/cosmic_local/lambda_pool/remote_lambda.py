"""The handler of a function that runs elsewhere, behind an endpoint like `sam local start-lambda`.

The pool runs it in the function's place, with all that goes with that: concurrency, deadlines,
records, retries. It hands the event on and gives back what comes, an error under its own name.
"""

from __future__ import annotations

import json
import os
from dataclasses import replace
from typing import Any

import boto3
from botocore.config import Config

from cosmic_local.lambda_pool.function import FunctionSpec

ENDPOINT, FUNCTION = "COSMIC_RELAY_ENDPOINT", "COSMIC_RELAY_FUNCTION"


def relayed(spec: FunctionSpec, endpoint: str) -> FunctionSpec:
    """The function, run by what answers at an endpoint under its logical id."""
    variables = {**spec.environment, ENDPOINT: endpoint, FUNCTION: spec.logical_id}
    return replace(spec, handler=f"{__name__}.handler", layers=(), environment=variables)


def handler(event: Any, _context: object) -> Any:
    """Have the function invoked elsewhere.

    Raises:
        Exception: the function raised; the class has the name of its error.
    """
    client = boto3.client(
        "lambda",
        endpoint_url=os.environ[ENDPOINT],
        config=Config(read_timeout=960, retries={"total_max_attempts": 1}),
    )
    reply = client.invoke(FunctionName=os.environ[FUNCTION], Payload=json.dumps(event))
    answer = json.load(reply["Payload"])
    if reply.get("FunctionError"):
        raise type(answer["errorType"], (Exception,), {})(answer["errorMessage"])
    return answer
