"""moto's server in this process, with functions run by a pool."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from moto.moto_server.werkzeug_app import (
    DomainDispatcherApplication,
    MotoRequestHandler,
    create_backend_app,
)
from werkzeug.serving import BaseWSGIServer, make_server

from cosmic_local.lambda_pool.event_queue import EventQueue
from cosmic_local.lambda_pool.invocation import Invocation, Origin
from cosmic_local.lambda_pool.pool import Pool, Served
from cosmic_local.template.event_rules import Rule, matches

ACCOUNT = "123456789012"
LOOPBACK = "127.0.0.1"


@dataclass(frozen=True)
class Functions:
    """The pool, the queue before it and the rules that fill it, as moto calls them."""

    pool: Pool
    events: EventQueue
    rules: list[Rule] = field(default_factory=list)

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

    def notice(self, event: dict[str, Any]) -> None:
        """Deliver an event to the functions whose rules it matches."""
        for rule in self.rules:
            if matches(rule.pattern, event):
                for target in rule.targets:
                    self.events.submit(target, json.dumps(event).encode(), "events")


def account_settings(pool: Pool, concurrency: int) -> dict[str, Any]:
    """What Lambda's `GetAccountSettings` says of an account with this concurrency."""
    functions = pool.functions
    reserved = sum(spec.reserved_concurrency or 0 for spec in functions)
    limit = {
        "ConcurrentExecutions": concurrency,
        "UnreservedConcurrentExecutions": concurrency - reserved,
        "TotalCodeSize": 75 << 30,
        "CodeSizeUnzipped": 250 << 20,
        "CodeSizeZipped": 50 << 20,
    }
    return {"AccountLimit": limit, "AccountUsage": {"FunctionCount": len(functions)}}


def bind(host: str = LOOPBACK, port: int = 0) -> BaseWSGIServer:
    """The server, listening and not yet answering."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    # It reports every failed state at length; the execution's history has it all.
    logging.getLogger("moto.stepfunctions").setLevel(logging.CRITICAL)
    server = make_server(
        host,
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
