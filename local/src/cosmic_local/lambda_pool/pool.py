"""Execution environments for all functions: started when needed, reused when idle, bounded."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cosmic_local.errors import PayloadTooLarge, StackError, Stopping, UnknownFunction
from cosmic_local.lambda_pool.concurrency import Concurrency
from cosmic_local.lambda_pool.environment import Environment
from cosmic_local.lambda_pool.function import FunctionSpec, Surroundings, function_name
from cosmic_local.lambda_pool.invocation import Invocation, Outcome, stopped, timed_out
from cosmic_local.lambda_pool.invocation_log import (
    InvocationRecord,
    JsonLines,
    end_lines,
    start_line,
    utc,
    write_record,
)
from cosmic_local.lambda_pool.runtime_api import RuntimeApi

MIB = 1024 * 1024
MAX_EVENT_BYTES = 6 * MIB
MIN_INIT_S = 60.0
SETTLE_S = 5.0
CLOSE_S = 10.0
SHOWN_EVENT_BYTES = 8192


@dataclass(frozen=True)
class Limits:
    """How much the pool may use.

    Attributes:
        concurrency: Invocations at once over all functions, as the account's limit.
        idle_s: How long an environment without work is kept.
        watch_s: How often memory is looked at.
    """

    concurrency: int = 100
    idle_s: float = 120.0
    watch_s: float = 0.05

    def __post_init__(self) -> None:
        if self.concurrency < 1:
            raise StackError(f"concurrency is {self.concurrency}; it must be at least 1")


@dataclass(frozen=True)
class Served:
    """What came of an invocation.

    Attributes:
        outcome: Its outcome.
        record: What is kept of it.
        log_tail: The end of its log.
    """

    outcome: Outcome
    record: InvocationRecord
    log_tail: bytes


class Pool:
    """Runs the functions of a stack.

    An environment has one owner at any time: the thread that serves an invocation with it, or
    the list of idle ones. Who takes it from there disposes of it or gives it back.

    Everything is under `folder`: `logs/<function>/*.log`, `environments/` and
    `invocations.jsonl`.
    """

    def __init__(self, folder: Path, around: Surroundings, limits: Limits | None = None) -> None:
        self._homes = folder / "environments"
        self._logs = folder / "logs"
        self._homes.mkdir(parents=True, exist_ok=True)
        self._logs.mkdir(parents=True, exist_ok=True)
        self._records = JsonLines(folder / "invocations.jsonl")
        self._around = around
        self._limits = limits or Limits()
        self._functions: dict[str, FunctionSpec] = {}
        self._lock = threading.Lock()
        self._idle: dict[str, list[Environment]] = {}
        self._all: set[Environment] = set()
        self._active: dict[Invocation, Environment] = {}
        self._concurrency = Concurrency(self._limits.concurrency)
        self._stopped: set[str] = set()
        self._closed = threading.Event()
        self._api = RuntimeApi()
        self._spawner = ThreadPoolExecutor(max_workers=1, thread_name_prefix="spawner")
        self._monitor = threading.Thread(target=self._watch, name="pool-monitor", daemon=True)
        self._monitor.start()

    def add(self, spec: FunctionSpec) -> None:
        """Deploy a function, or put a new one in the place of its name."""
        if not spec.code.is_dir():
            raise StackError(f"{spec.name}: its code {spec.code} is not a directory")
        with self._lock:
            self._functions[spec.name] = spec
            outdated = self._idle.pop(spec.name, [])
        self._dispose(outdated)

    @property
    def functions(self) -> list[FunctionSpec]:
        """The functions that are deployed."""
        with self._lock:
            return list(self._functions.values())

    def function(self, reference: str) -> FunctionSpec:
        """The function with a name or an ARN."""
        name = function_name(reference)
        try:
            return self._functions[name]
        except KeyError:
            raise UnknownFunction(f"there is no function {name!r}") from None

    def invoke(self, function: str, invocation: Invocation) -> Served:
        """Run an invocation to its end.

        Raises:
            Throttled: the function, or the pool, is at its concurrency.
            UnknownFunction: it is not deployed.
            PayloadTooLarge: Lambda would refuse the event.
            Stopping: the pool is closed, or the invocation's execution was stopped.
            StackError: no process could be started.
        """
        spec = self.function(function)
        if len(invocation.payload) > MAX_EVENT_BYTES:
            raise PayloadTooLarge(
                f"the event has {len(invocation.payload)} bytes; Lambda takes {MAX_EVENT_BYTES}"
            )
        self._admit(invocation.origin.execution)
        with self._concurrency.taken(spec):
            environment, cold = self._acquire(spec, invocation)
            try:
                return self._serve(environment, invocation, cold=cold)
            finally:
                self._release(environment, invocation)

    def running(self) -> list[dict[str, Any]]:
        """The invocations being served now, each with the process that serves it."""
        with self._lock:
            active = list(self._active.items())
        return [_describe(invocation, environment) for invocation, environment in active]

    def throttles(self) -> dict[str, int]:
        """How often each function was refused because too much ran, by its name."""
        return self._concurrency.refused()

    def stop_execution(self, execution: str) -> int:
        """Kill all invocations of a Step Functions execution; it gets no others.

        Returns:
            How many there were.
        """
        with self._lock:
            self._stopped.add(execution)
            doomed = [
                (invocation, environment)
                for invocation, environment in self._active.items()
                if invocation.origin.execution == execution
            ]
        for invocation, environment in doomed:
            invocation.finish(stopped())
            environment.kill()
        return len(doomed)

    def close(self) -> None:
        """Kill every process and remove what it leaves behind, except logs and records.

        Waits for what is being served to be recorded, within bounds.
        """
        with self._lock:
            if self._closed.is_set():
                return
            self._closed.set()
            active = list(self._active.items())
            idle = [environment for kept in self._idle.values() for environment in kept]
            self._idle.clear()
        for invocation, environment in active:
            invocation.finish(stopped())
            environment.kill()
        self._dispose(idle)
        self._concurrency.wait_empty(CLOSE_S)
        self._monitor.join(timeout=5)
        self._api.close()
        self._spawner.shutdown(wait=True, cancel_futures=True)

    def _admit(self, execution: str) -> None:
        if self._closed.is_set():
            raise Stopping("the stack is stopping")
        if execution in self._stopped:
            raise Stopping(f"{execution} was stopped")

    def _acquire(self, spec: FunctionSpec, invocation: Invocation) -> tuple[Environment, bool]:
        while environment := self._take_idle(spec, invocation):
            if environment.alive:
                return environment, False
            self._dispose([environment])
        environment = Environment(spec, self._homes, self._logs)
        environment.start(lambda call: self._spawner.submit(call).result(), self._api, self._around)
        with self._lock:
            self._all.add(environment)
            self._active[invocation] = environment
            late = self._closed.is_set() or invocation.origin.execution in self._stopped
        if late:
            invocation.finish(stopped())
            environment.kill()
        return environment, True

    def _take_idle(self, spec: FunctionSpec, invocation: Invocation) -> Environment | None:
        with self._lock:
            idle = self._idle.get(spec.name)
            if not idle:
                return None
            self._active[invocation] = environment = idle.pop()
            return environment

    def _serve(self, environment: Environment, invocation: Invocation, *, cold: bool) -> Served:
        spec = environment.spec
        since = environment.log.size()
        ready = environment.wait_ready(max(MIN_INIT_S, spec.timeout_s))
        environment.log.write(start_line(invocation.request_id))
        if ready:
            environment.give(invocation)
            invocation.dispatched.wait(MIN_INIT_S)
        outcome = invocation.wait(invocation.timeout_s if ready else 0)
        if outcome is None:
            invocation.finish(timed_out(invocation))
            outcome = invocation.wait(0)
            environment.kill()
        assert outcome is not None  # noqa: S101 - finish() has just given one
        peak = environment.peak_bytes
        environment.wait_idle(SETTLE_S)
        record = InvocationRecord.of(
            spec,
            invocation,
            outcome,
            env_id=environment.id,
            pid=environment.pid,
            init_ms=environment.init_ms if cold else 0.0,
            peak_bytes=peak,
            log=environment.log.path,
        )
        environment.log.write(end_lines(record, outcome))
        write_record(self._records, record)
        return Served(outcome, record, environment.log.tail(since))

    def _release(self, environment: Environment, invocation: Invocation) -> None:
        usable = environment.wait_idle(0)
        with self._lock:
            self._active.pop(invocation, None)
            current = self._functions.get(environment.spec.name) is environment.spec
            if usable and current and not self._closed.is_set():
                self._idle.setdefault(environment.spec.name, []).append(environment)
                return
        self._dispose([environment])

    def _dispose(self, environments: list[Environment]) -> None:
        for environment in environments:
            environment.kill()
        for environment in environments:
            environment.dispose()
        with self._lock:
            self._all.difference_update(environments)

    def _watch(self) -> None:
        while not self._closed.wait(self._limits.watch_s):
            with self._lock:
                environments = list(self._all)
            for environment in environments:
                if environment.measure() > environment.spec.memory_mb * MIB:
                    environment.kill_for_memory()
            self._dispose(self._stale())

    def _stale(self) -> list[Environment]:
        before = time.monotonic() - self._limits.idle_s
        with self._lock:
            stale = [e for idle in self._idle.values() for e in idle if e.idle_since < before]
            for environment in stale:
                self._idle[environment.spec.name].remove(environment)
        return stale


def _describe(invocation: Invocation, environment: Environment) -> dict[str, Any]:
    shown = invocation.payload[:SHOWN_EVENT_BYTES] if invocation.payload else b""
    return {
        "function": environment.spec.name,
        "logical_id": environment.spec.logical_id,
        "request_id": invocation.request_id,
        "env_id": environment.id,
        "pid": environment.pid,
        "start": utc(invocation.started_s) if invocation.started_s else None,
        "source": invocation.origin.source,
        "execution": invocation.origin.execution,
        "event": shown.decode(errors="replace"),
        "log": str(environment.log.path),
    }
