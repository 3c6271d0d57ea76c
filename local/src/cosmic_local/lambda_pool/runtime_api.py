"""Lambda's Runtime API on loopback: one server, one port for each execution environment.

The port says which environment speaks. (A path after the port would do for the native half of
AWS's runtime client, but the half that reports a failed initialisation cannot parse it.)
"""

from __future__ import annotations

import contextlib
import selectors
import socket
import threading
from http.server import BaseHTTPRequestHandler
from typing import Any, Protocol, cast

from cosmic_local.guard import refusal
from cosmic_local.lambda_pool.invocation import Invocation

PREFIX = "/2018-06-01/runtime"


class Runtime(Protocol):
    """What an execution environment offers to the runtime client in its process."""

    function_arn: str

    def next_invocation(self) -> Invocation | None:
        """Wait for an event; None when there will be none any more."""

    def succeed(self, request_id: str, payload: bytes) -> None:
        """The handler returned."""

    def fail(self, request_id: str, payload: bytes) -> None:
        """The handler raised."""

    def fail_init(self, payload: bytes) -> None:
        """The handler could not be imported."""


class RuntimeApi:
    """Listens for all environments; every connection is served by a thread of its own."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._wake, waker = socket.socketpair()
        self._waker = waker
        self._selector.register(self._wake, selectors.EVENT_READ, None)
        self._thread = threading.Thread(target=self._accept, name="runtime-api", daemon=True)
        self._thread.start()

    def open(self, runtime: Runtime) -> socket.socket:
        """Listen for an environment.

        Returns:
            The listening socket; give it back to `close_port`.
        """
        listener = socket.create_server(("127.0.0.1", 0), backlog=8)
        listener.setblocking(False)
        self._selector.register(listener, selectors.EVENT_READ, runtime)
        return listener

    def close_port(self, listener: socket.socket) -> None:
        """Stop listening for an environment."""
        with contextlib.suppress(KeyError, ValueError):
            self._selector.unregister(listener)
        listener.close()

    def close(self) -> None:
        """Stop listening at all."""
        self._waker.close()
        self._thread.join(timeout=5)
        for key in list(self._selector.get_map().values()):
            cast(socket.socket, key.fileobj).close()
        self._selector.close()

    def _accept(self) -> None:
        while True:
            for key, _ in self._selector.select():
                listener = cast(socket.socket, key.fileobj)
                if listener is self._wake:
                    return
                with contextlib.suppress(OSError):
                    connection, _address = listener.accept()
                    connection.setblocking(True)
                    _serve_in_thread(connection, key.data)


def _serve_in_thread(connection: socket.socket, runtime: Runtime) -> None:
    threading.Thread(target=_serve, args=(connection, runtime), daemon=True).start()


def _serve(connection: socket.socket, runtime: Runtime) -> None:
    with connection, contextlib.suppress(OSError):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        _Handler(connection, ("127.0.0.1", 0), cast(Any, runtime))


class _Handler(BaseHTTPRequestHandler):
    """The four calls that a runtime client makes."""

    protocol_version = "HTTP/1.1"

    @property
    def runtime(self) -> Runtime:
        return cast(Runtime, self.server)

    def parse_request(self) -> bool:
        """Read the request's head; a browser's, whatever page it shows, is refused."""
        if not super().parse_request():
            return False
        refused = refusal(self.headers.get, self.connection.getsockname()[1])
        if refused is not None:
            self.close_connection = True
            self._answer(refused)
        return refused is None

    def do_GET(self) -> None:
        if self.path != f"{PREFIX}/invocation/next":
            self._answer(404)
            return
        invocation = self.runtime.next_invocation()
        if invocation is None:
            self.close_connection = True
            return
        headers = {
            "Lambda-Runtime-Aws-Request-Id": invocation.request_id,
            "Lambda-Runtime-Deadline-Ms": str(invocation.deadline_ms),
            "Lambda-Runtime-Invoked-Function-Arn": self.runtime.function_arn,
            "Lambda-Runtime-Trace-Id": invocation.trace_id,
        }
        self._answer(200, invocation.payload, headers)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        parts = self.path.removeprefix(PREFIX).strip("/").split("/")
        match parts:
            case ["invocation", request_id, "response"]:
                self.runtime.succeed(request_id, body)
            case ["invocation", request_id, "error"]:
                self.runtime.fail(request_id, body)
            case ["init", "error"]:
                self.runtime.fail_init(body)
            case _:
                self._answer(404)
                return
        self._answer(202, b'{"status":"OK"}')

    def _answer(
        self, status: int, body: bytes = b"{}", headers: dict[str, str] | None = None
    ) -> None:
        self.send_response_only(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: the invocation's own records say it all."""
