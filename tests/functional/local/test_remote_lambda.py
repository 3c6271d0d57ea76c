"""Functions that run behind an endpoint like `sam local start-lambda`, as containers do.

The endpoint answers as SAM's does with a Python runtime in its container: a handler's error is the
body of a reply with status 200, with a `requestId` in it and without `X-Amz-Function-Error`.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from cosmic_local.lambda_pool.invocation import Kind
from cosmic_local.lambda_pool.pool import Pool, Served
from cosmic_local.lambda_pool.remote_lambda import is_error, relayed

from .conftest import BASE, MakePool, answer, call

OF_RANK = {
    "errorMessage": "bad-partition: s3://b/data/0.pt is no partition",
    "errorType": "InputError",
    "requestId": "4d3b1f4c-9d1c-4b3b-8c0e-6f2a3d6f0001",
    "stackTrace": ['  File "/var/task/app.py", line 33, in handler\n    record = run_rank(task)\n'],
}
OF_INIT = {**OF_RANK, "errorType": "TransientError", "errorMessage": "transient: S3 said 503"}
OF_AGGREGATE = {**OF_RANK, "errorType": "MemoryError", "errorMessage": "", "stackTrace": []}
ENDED = {
    "errorType": "Runtime.ExitError",
    "errorMessage": "RequestId: 4d3b Error: Runtime exited with error: signal: killed",
}
NO_HANDLER = {
    "errorMessage": "Unable to import module 'app': No module named 'numpy'",
    "errorType": "Runtime.ImportModuleError",
    "requestId": "",
    "stackTrace": [],
}
WAITS = {"admitted": False, "wait_s": 7, "looks": 1}


@dataclass
class Endpoint:
    """What it answers next, and whom it was asked for."""

    url: str = ""
    body: bytes = b"null"
    headers: dict[str, str] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    """A real HTTP server in SAM's place."""
    found = Endpoint()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            found.asked.append(self.path)
            self.send_response(200)
            for name, value in found.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(found.body)))
            self.end_headers()
            self.wfile.write(found.body)

        def log_message(self, *_: object) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    found.url = f"http://127.0.0.1:{server.server_port}"
    yield found
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def relay(make_pool: MakePool, endpoint: Endpoint) -> Callable[[object], Served]:
    """Invoke a function that answers so behind the endpoint."""
    pool: Pool = make_pool()
    pool.add(relayed(BASE, endpoint.url))

    def invoke(reply: object) -> Served:
        endpoint.body = reply if isinstance(reply, bytes) else json.dumps(reply).encode()
        return call(pool, ask="anything")

    return invoke


def test_every_error_of_a_handler_is_an_error(
    relay: Callable[[object], Served], endpoint: Endpoint
) -> None:
    replies: tuple[dict[str, Any], ...] = (OF_RANK, OF_INIT, OF_AGGREGATE, ENDED, NO_HANDLER)
    for reply in replies:
        served = relay(reply)
        assert served.outcome.kind is Kind.ERROR, reply
        assert served.outcome.error_type == reply["errorType"]
        assert answer(served)["errorMessage"] == reply["errorMessage"]
        assert served.record.outcome == "error"
    assert set(endpoint.asked) == {"/2015-03-31/functions/First/invocations"}


def test_it_has_the_shape_that_it_has_from_a_process(
    relay: Callable[[object], Served], make_pool: MakePool
) -> None:
    direct = call(make_pool(), **{"raise": "x"})
    through = relay(answer(direct))
    assert through.outcome.kind is direct.outcome.kind
    assert through.outcome.error_type == direct.outcome.error_type == "BrokenError"
    assert answer(through).keys() == answer(direct).keys()
    assert answer(through)["errorMessage"] == answer(direct)["errorMessage"]


def test_what_an_endpoint_marks_as_an_error_is_one(
    relay: Callable[[object], Served], endpoint: Endpoint
) -> None:
    endpoint.headers = {"X-Amz-Function-Error": "Unhandled"}
    assert (
        relay({"errorType": "InputError", "errorMessage": "no"}).outcome.error_type == "InputError"
    )
    assert relay("no").outcome.error_type == "Unhandled"


def test_what_is_no_json_is_an_error_by_name(relay: Callable[[object], Served]) -> None:
    assert relay(b"Task timed out after 3.00 seconds").outcome.error_type == "Sandbox.Timedout"
    assert relay(b"").outcome.error_type == "Runtime.InvalidResponse"


def test_answers_are_given_back_as_they_are(relay: Callable[[object], Served]) -> None:
    replies: tuple[Any, ...] = (WAITS, {"state": "FAILED"}, None, [], "text")
    for reply in replies:
        served = relay(reply)
        assert served.outcome.kind is Kind.OK
        assert answer(served) == reply


@pytest.mark.parametrize(
    "reply",
    [
        {"errorType": "X"},
        {"errorMessage": "x"},
        {"errorType": "X", "errorMessage": "x", "rows": 3},
        ["errorType", "errorMessage", "stackTrace"],
        "errorType errorMessage stackTrace",
        None,
    ],
)
def test_an_answer_that_speaks_of_errors_is_none(reply: Any) -> None:
    assert not is_error(reply)
