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

OF_AN_ERROR = {"errorType", "errorMessage", "requestId", "stackTrace", "cause"}
TIMED_OUT, NO_JSON = "Sandbox.Timedout", "Runtime.InvalidResponse"
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
    return answer_of(reply["Payload"].read(), failed="FunctionError" in reply)


def answer_of(payload: bytes, *, failed: bool) -> Any:
    """What a function returned.

    `sam local start-lambda` marks a failure only where the payload has no other key than those of
    an error, and the runtime in its containers adds `requestId`. So the payload itself is asked.

    Args:
        payload: The reply's body.
        failed: Whether the endpoint says that the function failed.

    Raises:
        Exception: it failed; the class has the name of its error.
    """
    try:
        answer = json.loads(payload)
    except ValueError:
        text = payload.decode(errors="replace").strip()
        timed_out = text.startswith("Task timed out")
        raise _named(TIMED_OUT if timed_out else NO_JSON, text) from None
    if failed or is_error(answer):
        known: dict[str, Any] = answer if isinstance(answer, dict) else {}
        raise _named(known.get("errorType", "Unhandled"), known.get("errorMessage", str(answer)))
    return answer


def is_error(answer: object) -> bool:
    """Whether a reply is what a Lambda runtime says of a handler that raised, or ended."""
    if not isinstance(answer, dict) or not {"errorType", "errorMessage"} <= answer.keys():
        return False
    return "stackTrace" in answer or answer.keys() <= OF_AN_ERROR


def _named(name: object, message: object) -> Exception:
    kind: type[Exception] = type(str(name), (Exception,), {})
    return kind(message)
