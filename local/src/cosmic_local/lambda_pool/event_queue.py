"""Asynchronous invocations: accepted at once, tried again, and kept when they fail for good."""

from __future__ import annotations

import json
import threading
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from cosmic_local.errors import PayloadTooLarge, StackError, Stopping, Throttled
from cosmic_local.lambda_pool.function import VERSION, FunctionSpec
from cosmic_local.lambda_pool.invocation import Invocation, Kind, Origin
from cosmic_local.lambda_pool.invocation_log import JsonLines
from cosmic_local.lambda_pool.pool import Pool, Served

MAX_EVENT_BYTES = 1024 * 1024
PAUSE_S = 0.5

Destination = Callable[[FunctionSpec, dict[str, Any]], None]


class Journal(Protocol):
    """What remembers events that are accepted and not done with."""

    def accepted(self, request_id: str, function: str, payload: bytes, source: str) -> None:
        """An event was accepted."""

    def done(self, request_id: str) -> None:
        """An event was served, or failed for good."""


class EventQueue:
    """Hands events to a pool in threads of its own.

    A failed event is tried again as its function's configuration says, after pauses of seconds
    where Lambda waits minutes; one that could not be run waits for room. One that failed for
    good is written to `failed-events.jsonl`, in the form of Lambda's record for an on-failure
    destination, and given to `destination`.
    """

    def __init__(
        self,
        pool: Pool,
        folder: Path,
        destination: Destination | None = None,
        pauses_s: tuple[float, float] = (1.0, 2.0),
        journal: Journal | None = None,
    ) -> None:
        self._pool = pool
        self._journal = journal
        self._failed = JsonLines(folder / "failed-events.jsonl")
        self._destination = destination
        self._pauses_s = pauses_s
        self._closed = threading.Event()

    def submit(
        self, function: str, payload: bytes, source: str, request_id: str | None = None
    ) -> str:
        """Accept an event.

        Args:
            function: Whose.
            payload: The event.
            source: Where it comes from.
            request_id: The one it has already, if it is accepted anew.

        Returns:
            The request id; all tries have the same.

        Raises:
            UnknownFunction: the function is not deployed.
            PayloadTooLarge: Lambda would refuse the event.
        """
        spec = self._pool.function(function)
        if len(payload) > MAX_EVENT_BYTES:
            raise PayloadTooLarge(
                f"the event has {len(payload)} bytes; Lambda takes {MAX_EVENT_BYTES}"
            )
        request_id = request_id or str(uuid.uuid4())
        if self._journal is not None:
            self._journal.accepted(request_id, spec.name, payload, source)
        arguments = (spec, payload, Origin(source), request_id)
        threading.Thread(target=self._deliver, args=arguments, daemon=True).start()
        return request_id

    def close(self) -> None:
        """Try nothing again."""
        self._closed.set()

    def _deliver(self, spec: FunctionSpec, payload: bytes, origin: Origin, request_id: str) -> None:
        tries = spec.events.max_retries + 1
        for attempt in range(1, tries + 1):
            served = self._invoke(spec, payload, origin, request_id)
            if served is None or served.outcome.kind is Kind.STOPPED:
                return
            if served.outcome.kind is Kind.OK:
                self._done(request_id)
                return
            if attempt == tries:
                self._give_up(spec, payload, request_id, served, tries)
                self._done(request_id)
            elif self._closed.wait(self._pauses_s[min(attempt, 2) - 1]):
                return

    def _done(self, request_id: str) -> None:
        if self._journal is not None:
            self._journal.done(request_id)

    def _invoke(
        self, spec: FunctionSpec, payload: bytes, origin: Origin, request_id: str
    ) -> Served | None:
        while not self._closed.is_set():
            invocation = Invocation(payload, spec.timeout_s, origin, request_id)
            try:
                return self._pool.invoke(spec.name, invocation)
            except Stopping:
                return None
            except (Throttled, StackError):
                self._closed.wait(PAUSE_S)
        return None

    def _give_up(
        self, spec: FunctionSpec, payload: bytes, request_id: str, served: Served, tries: int
    ) -> None:
        record = {
            "version": "1.0",
            "timestamp": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "requestContext": {
                "requestId": request_id,
                "functionArn": f"{spec.arn}:{VERSION}",
                "condition": "RetriesExhausted",
                "approximateInvokeCount": tries,
            },
            "requestPayload": json.loads(payload),
            "responseContext": {
                "statusCode": 200,
                "executedVersion": VERSION,
                "functionError": "Unhandled",
            },
            "responsePayload": json.loads(served.outcome.payload),
        }
        self._failed.append(record)
        if self._destination is not None:
            self._destination(spec, record)
