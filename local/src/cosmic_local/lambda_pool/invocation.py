"""One invocation: its event, its clock, and the one outcome it gets."""

from __future__ import annotations

import json
import secrets
import threading
import time
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum


class Kind(StrEnum):
    """How an invocation ended."""

    OK = "ok"
    ERROR = "error"
    INIT_ERROR = "init-error"
    TIMEOUT = "timeout"
    MEMORY = "memory"
    EXIT = "exit"
    STOPPED = "stopped"


@dataclass(frozen=True)
class Outcome:
    """What an invocation gives back.

    Attributes:
        kind: How it ended.
        payload: The response, or Lambda's error object, as JSON.
        error_type: `errorType` of the error, or an empty string.
        log: The line that Lambda writes to the log for it, or an empty string.
    """

    kind: Kind
    payload: bytes
    error_type: str = ""
    log: str = ""


@dataclass(frozen=True)
class Origin:
    """Who called.

    Attributes:
        source: `invoke`, `states` or `s3`.
        execution: ARN of the Step Functions execution, or an empty string.
    """

    source: str = "invoke"
    execution: str = ""


def new_trace_id() -> str:
    """An X-Ray trace header that asks for no trace."""
    root = f"1-{int(time.time()):08x}-{secrets.token_hex(12)}"
    return f"Root={root};Parent={secrets.token_hex(8)};Sampled=0"


@dataclass(eq=False)
class Invocation:
    """An event on its way through an execution environment.

    Attributes:
        payload: The event as JSON.
        timeout_s: How long the handler has once it was given the event.
        origin: Who called.
        request_id: Lambda's request id.
        trace_id: X-Ray header.
        started_s: Wall clock at which the handler was given the event.
        ended_s: Wall clock of the outcome.
        dispatched: Set when the handler was given the event, or the invocation ended.
    """

    payload: bytes
    timeout_s: float
    origin: Origin = Origin()
    request_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    trace_id: str = field(default_factory=new_trace_id)
    started_s: float = 0.0
    ended_s: float = 0.0
    dispatched: threading.Event = field(default_factory=threading.Event)
    _clock: float = 0.0
    _duration_s: float = 0.0
    _done: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _outcome: Outcome | None = None

    def dispatch(self) -> None:
        """Start the clock: the handler has the event."""
        self.started_s = time.time()
        self._clock = time.monotonic()
        self.dispatched.set()

    @property
    def deadline_ms(self) -> int:
        """When the invocation is killed, in milliseconds since the epoch."""
        return int((self.started_s + self.timeout_s) * 1000)

    @property
    def duration_ms(self) -> float:
        """Time from dispatch to outcome."""
        return self._duration_s * 1000

    def finish(self, outcome: Outcome) -> bool:
        """Give the outcome; the first one counts.

        Returns:
            Whether it was the first.
        """
        with self._lock:
            if self._outcome is not None:
                return False
            self._outcome = outcome
            self.ended_s = time.time()
            self._duration_s = time.monotonic() - self._clock if self._clock else 0.0
        self.dispatched.set()
        self._done.set()
        return True

    def wait(self, timeout_s: float) -> Outcome | None:
        """The outcome, or None if there is none in time."""
        self._done.wait(timeout_s)
        return self._outcome


def timed_out(invocation: Invocation) -> Outcome:
    """The outcome of an invocation that was killed at its deadline."""
    message = f"Task timed out after {invocation.timeout_s:.2f} seconds"
    stamp = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3]
    return Outcome(
        Kind.TIMEOUT,
        _error("Sandbox.Timedout", f"RequestId: {invocation.request_id} Error: {message}"),
        "Sandbox.Timedout",
        f"{stamp}Z {invocation.request_id} {message}\n",
    )


def exited(invocation: Invocation, reason: str, kind: Kind = Kind.EXIT) -> Outcome:
    """The outcome of an invocation whose process ended under it."""
    error_type = "Runtime.OutOfMemory" if kind is Kind.MEMORY else "Runtime.ExitError"
    text = f"RequestId: {invocation.request_id} Error: {reason}"
    return Outcome(kind, _error(error_type, text), error_type, f"{text}\n{error_type}\n")


def failed(kind: Kind, payload: bytes) -> Outcome:
    """The outcome of an error that the runtime client reported itself."""
    return Outcome(kind, payload, _error_type(payload))


def too_large() -> Outcome:
    """The outcome of a response that Lambda would refuse."""
    message = "Response payload size exceeded maximum allowed payload size (6291556 bytes)."
    error_type = "Function.ResponseSizeTooLarge"
    return Outcome(Kind.ERROR, _error(error_type, message), error_type)


def stopped() -> Outcome:
    """The outcome of an invocation that was killed with its execution or its stack."""
    error_type = "Stack.Stopped"
    return Outcome(Kind.STOPPED, _error(error_type, "The invocation was stopped"), error_type)


def _error(error_type: str, message: str) -> bytes:
    return json.dumps({"errorType": error_type, "errorMessage": message}).encode()


def _error_type(payload: bytes) -> str:
    try:
        document = json.loads(payload)
    except ValueError:
        return "Unknown"
    return str(document.get("errorType", "Unknown")) if isinstance(document, dict) else "Unknown"
