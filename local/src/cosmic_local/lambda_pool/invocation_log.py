"""What is kept of every invocation: a line of JSON, and Lambda's own lines in the log."""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from cosmic_local.lambda_pool.function import VERSION, FunctionSpec
from cosmic_local.lambda_pool.invocation import Invocation, Kind, Outcome

MIB = 1024 * 1024


@dataclass(frozen=True)
class InvocationRecord:
    """One invocation, as it is billed and displayed.

    Attributes:
        function: Physical name of the function.
        logical_id: Its name in the template.
        request_id: Lambda's request id; a retried event keeps it.
        env_id: The execution environment that served it.
        pid: Process id of that environment.
        cold: Whether the environment was started for it.
        start: When the handler was given the event, UTC ISO 8601.
        end: When it ended, UTC ISO 8601.
        duration_ms: From the one to the other.
        billed_ms: What Lambda would bill: the duration and, on a cold start, the initialisation.
        init_ms: Time of the initialisation on a cold start, else 0.
        memory_mb: Configured memory.
        max_memory_mb: Peak resident memory of the environment so far.
        outcome: `ok`, `error`, `init-error`, `timeout`, `memory`, `exit` or `stopped`.
        error_type: `errorType` of the error, or an empty string.
        source: Who called: `invoke`, `states` or `s3`.
        execution: ARN of the Step Functions execution, or an empty string.
        log: Path of the environment's log.
    """

    function: str
    logical_id: str
    request_id: str
    env_id: str
    pid: int
    cold: bool
    start: str
    end: str
    duration_ms: float
    billed_ms: int
    init_ms: float
    memory_mb: int
    max_memory_mb: int
    outcome: str
    error_type: str
    source: str
    execution: str
    log: str

    @classmethod
    def of(
        cls,
        spec: FunctionSpec,
        invocation: Invocation,
        outcome: Outcome,
        *,
        env_id: str,
        pid: int,
        init_ms: float,
        peak_bytes: int,
        log: Path,
    ) -> Self:
        """The record of an invocation that has ended."""
        duration = invocation.duration_ms
        return cls(
            function=spec.name,
            logical_id=spec.logical_id,
            request_id=invocation.request_id,
            env_id=env_id,
            pid=pid,
            cold=init_ms > 0,
            start=utc(invocation.started_s or invocation.ended_s),
            end=utc(invocation.ended_s),
            duration_ms=round(duration, 2),
            billed_ms=math.ceil(duration + init_ms),
            init_ms=round(init_ms, 2),
            memory_mb=spec.memory_mb,
            max_memory_mb=min(math.ceil(peak_bytes / MIB), spec.memory_mb),
            outcome=outcome.kind.value,
            error_type=outcome.error_type,
            source=invocation.origin.source,
            execution=invocation.origin.execution,
            log=str(log),
        )


def utc(seconds: float) -> str:
    """A wall clock as UTC ISO 8601 with milliseconds."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")


def start_line(request_id: str) -> str:
    """The line that opens an invocation in the log."""
    return f"START RequestId: {request_id} Version: {VERSION}\n"


def end_lines(record: InvocationRecord, outcome: Outcome) -> str:
    """The lines that close an invocation in the log."""
    report = [
        f"REPORT RequestId: {record.request_id}",
        f"Duration: {record.duration_ms:.2f} ms",
        f"Billed Duration: {record.billed_ms} ms",
        f"Memory Size: {record.memory_mb} MB",
        f"Max Memory Used: {record.max_memory_mb} MB",
    ]
    if record.cold:
        report.append(f"Init Duration: {record.init_ms:.2f} ms")
    if outcome.kind is Kind.TIMEOUT:
        report.append("Status: timeout")
    elif outcome.kind not in (Kind.OK, Kind.ERROR):
        report += ["Status: error", f"Error Type: {outcome.error_type}"]
    lines = [f"END RequestId: {record.request_id}", "\t".join(report) + "\t"]
    return outcome.log + "\n".join(lines) + "\n"


class JsonLines:
    """An append-only file of JSON objects, one a line; written by one process, read by any."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()

    def append(self, document: dict[str, Any]) -> None:
        """Write one object."""
        line = json.dumps(document, separators=(",", ":")) + "\n"
        with self._lock, self.path.open("a", encoding="utf-8") as stream:
            stream.write(line)

    def read(self) -> Iterator[dict[str, Any]]:
        """All objects written completely so far."""
        if not self.path.exists():
            return
        for line in self.path.read_text(encoding="utf-8").splitlines(keepends=True):
            if line.endswith("\n"):
                yield json.loads(line)


def write_record(lines: JsonLines, record: InvocationRecord) -> None:
    """Keep a record."""
    lines.append(asdict(record))


def read_records(path: Path) -> list[InvocationRecord]:
    """The records kept so far, in the order in which their invocations ended."""
    names = {item.name for item in fields(InvocationRecord)}
    return [
        InvocationRecord(**{k: v for k, v in line.items() if k in names})
        for line in JsonLines(path).read()
    ]
