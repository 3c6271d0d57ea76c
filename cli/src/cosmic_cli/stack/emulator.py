"""moto's server in this process, with functions run by a pool."""

from __future__ import annotations

import contextlib
import logging
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass

from moto.moto_server.werkzeug_app import (
    DomainDispatcherApplication,
    MotoRequestHandler,
    create_backend_app,
)
from werkzeug.serving import BaseWSGIServer, make_server

from cosmic_cli.stack.events import EventQueue
from cosmic_cli.stack.invocation import Invocation, Origin
from cosmic_cli.stack.pool import Pool, Served

ACCOUNT = "123456789012"


@dataclass(frozen=True)
class Functions:
    """The pool and the queue before it, as moto calls them."""

    pool: Pool
    events: EventQueue

    def call(self, function: str, payload: bytes, origin: Origin) -> Served:
        """Run a function to its end."""
        spec = self.pool.function(function)
        return self.pool.invoke(spec.name, Invocation(payload, spec.timeout_s, origin))

    def submit(self, function: str, payload: bytes, source: str) -> str:
        """Accept an event; the request id."""
        return self.events.submit(function, payload, source)

    def stop_execution(self, execution: str) -> int:
        """Kill the invocations of an execution."""
        return self.pool.stop_execution(execution)


def bind(port: int = 0) -> BaseWSGIServer:
    """The server, listening on loopback and not yet answering."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    # It reports every failed state at length; the execution's history has it all.
    logging.getLogger("moto.stepfunctions").setLevel(logging.CRITICAL)
    server = make_server(
        "127.0.0.1",
        port,
        DomainDispatcherApplication(create_backend_app),
        threaded=True,
        request_handler=MotoRequestHandler,
    )
    os.environ["MOTO_PORT"] = str(server.port)
    return server


@contextlib.contextmanager
def serving(server: BaseWSGIServer) -> Iterator[None]:
    """Answer requests until the block ends."""
    thread = threading.Thread(target=server.serve_forever, name="emulator", daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join(timeout=5)
