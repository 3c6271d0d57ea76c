"""One execution environment: a process under AWS's runtime client, one invocation at a time."""

from __future__ import annotations

import contextlib
import os
import queue
import secrets
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from enum import Enum, auto
from pathlib import Path

import psutil

from cosmic_local.child_process import command
from cosmic_local.errors import StackError
from cosmic_local.lambda_pool.function import VERSION, FunctionSpec, Surroundings, lambda_variables
from cosmic_local.lambda_pool.invocation import Invocation, Kind, Outcome, exited, failed, too_large
from cosmic_local.lambda_pool.logfile import LogFile
from cosmic_local.lambda_pool.memory import peak_bytes, resident_bytes
from cosmic_local.lambda_pool.runtime_api import RuntimeApi

MAX_RESPONSE_BYTES = 6_291_556

Spawn = Callable[[Callable[[], "subprocess.Popen[bytes]"]], "subprocess.Popen[bytes]"]


class State(Enum):
    """What an environment is doing."""

    STARTING = auto()
    IDLE = auto()
    BUSY = auto()
    DEAD = auto()


class Environment:
    """A process that serves the invocations of one function, one after the other.

    Attributes:
        id: Its id, 32 hex digits.
        spec: The function.
        function_arn: ARN that handlers see.
        log: The process's output and Lambda's lines.
        home: Its own directory; `tmp` in it stands for `/tmp`.
        init_ms: How long the initialisation took, 0 until it is over.
        idle_since: Monotonic clock of the last invocation's end.
    """

    def __init__(self, spec: FunctionSpec, homes: Path, logs: Path) -> None:
        self.id = secrets.token_hex(16)
        self.spec = spec
        self.function_arn = spec.arn
        self.init_ms = 0.0
        self.idle_since = time.monotonic()
        self.home = homes / self.id
        (self.home / "tmp").mkdir(parents=True)
        stamp = time.strftime("%Y%m%dT%H%M%S", time.gmtime())
        self.log = LogFile(logs / spec.name / f"{stamp}-{self.id}.log")
        self._mailbox: queue.SimpleQueue[Invocation | None] = queue.SimpleQueue()
        self._changed = threading.Condition()
        self._state = State.STARTING
        self._current: Invocation | None = None
        self._init_error: bytes | None = None
        self._exit = ""
        self._over_memory = False
        self._started = False
        self._kill_requested = False
        self._peak_bytes = 0
        self._reaped = threading.Event()
        self._cleaned_up = threading.Event()

    def start(self, spawn: Spawn, api: RuntimeApi, around: Surroundings) -> None:
        """Start the process.

        Args:
            spawn: Calls a function in a thread that lives as long as the stack.
            api: Serves the process.
            around: What is the same for all functions.

        Raises:
            StackError: the system does not let it.
        """
        listener = api.open(self)
        stream = f"{time.strftime('%Y/%m/%d', time.gmtime())}/[{VERSION}]{self.id}"
        address = f"127.0.0.1:{listener.getsockname()[1]}"
        variables = lambda_variables(self.spec, around, address, stream, self.home / "tmp")
        self._born = time.monotonic()
        try:
            self._process = spawn(lambda: self._popen(variables))
        except OSError as error:
            api.close_port(listener)
            self.dispose()
            raise StackError(
                f"no process could be started for {self.spec.name}: {error}"
            ) from error
        self._started = True
        self._watch = psutil.Process(self._process.pid)
        reaper = threading.Thread(target=self._reap, args=(api, listener), daemon=True)
        reaper.start()

    def _popen(self, variables: dict[str, str]) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            command("awslambdaric", self.spec.handler),
            cwd=self.spec.code,
            env=variables,
            stdin=subprocess.DEVNULL,
            stdout=self.log.fd,
            stderr=self.log.fd,
            start_new_session=True,
        )

    @property
    def pid(self) -> int:
        """The process's id."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether the process can serve again."""
        return self._state is not State.DEAD and not self._kill_requested

    def wait_ready(self, timeout_s: float) -> bool:
        """Wait until the initialisation is over, one way or the other.

        Returns:
            Whether it is.
        """
        with self._changed:
            return self._changed.wait_for(lambda: self._state is not State.STARTING, timeout_s)

    def wait_idle(self, timeout_s: float) -> bool:
        """Wait until the process asks for the next event or is dead.

        Returns:
            Whether it asks.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._state in (State.IDLE, State.DEAD), timeout_s)
            self.idle_since = time.monotonic()
            return self._state is State.IDLE and not self._kill_requested

    def give(self, invocation: Invocation) -> None:
        """Have an invocation served; a dead environment ends it at once."""
        with self._changed:
            if self._state is State.DEAD:
                invocation.finish(self._exit_outcome(invocation))
                return
            self._state = State.BUSY
            self._current = invocation
        self._mailbox.put(invocation)

    def kill(self) -> None:
        """Kill the process and all that it started."""
        with self._changed:
            self._kill_requested = True
            if not self._reaped.is_set():
                _kill_group(self._process.pid)

    def kill_for_memory(self) -> None:
        """Kill the process because it uses more memory than its function has."""
        self._over_memory = True
        if self._current is not None:
            self._current.finish(self._exit_outcome(self._current))
        self.kill()

    def dispose(self, timeout_s: float = 5.0) -> None:
        """Kill the process if it lives, and remove what it leaves behind except the log.

        Only the owner of the environment calls it, and only once.
        """
        if self._started:
            self.kill()
            self._cleaned_up.wait(timeout_s)
        shutil.rmtree(self.home, ignore_errors=True)
        self.log.close()

    def measure(self) -> int:
        """Resident memory now, in bytes; remembered as part of the peak."""
        if self._reaped.is_set():
            return 0
        now = resident_bytes(self._watch)
        self._peak_bytes = max(self._peak_bytes, now)
        return now

    @property
    def peak_bytes(self) -> int:
        """Peak resident memory of the process so far."""
        if not self._reaped.is_set():
            self._peak_bytes = max(self._peak_bytes, self.measure(), peak_bytes(self.pid))
        return self._peak_bytes

    # What the runtime client in the process calls, through the Runtime API.

    def next_invocation(self) -> Invocation | None:
        """Wait for an event; None when there will be none any more."""
        with self._changed:
            if self._state is State.STARTING:
                self.init_ms = (time.monotonic() - self._born) * 1000
                self.measure()
            if self._state is not State.DEAD:
                self._state = State.IDLE
            self._changed.notify_all()
        invocation = self._mailbox.get()
        if invocation is not None:
            invocation.dispatch()
        return invocation

    def succeed(self, request_id: str, payload: bytes) -> None:
        """The handler returned."""
        if len(payload) > MAX_RESPONSE_BYTES:
            self._finish(request_id, too_large())
        else:
            self._finish(request_id, Outcome(Kind.OK, payload))

    def fail(self, request_id: str, payload: bytes) -> None:
        """The handler raised."""
        self._finish(request_id, failed(Kind.ERROR, payload))

    def fail_init(self, payload: bytes) -> None:
        """The handler could not be imported."""
        with self._changed:
            self._init_error = payload

    def _finish(self, request_id: str, outcome: Outcome) -> None:
        current = self._current
        if current is not None and current.request_id == request_id:
            current.finish(outcome)

    def _reap(self, api: RuntimeApi, listener: socket.socket) -> None:
        pid = self._process.pid
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        with self._changed:
            _kill_group(pid)
            code = self._process.wait()
            self._reaped.set()
            if self._state is State.STARTING:
                self.init_ms = (time.monotonic() - self._born) * 1000
            self._exit = exit_reason(code)
            self._state = State.DEAD
            self._changed.notify_all()
        if self._current is not None:
            self._current.finish(self._exit_outcome(self._current))
        self._mailbox.put(None)
        api.close_port(listener)
        self._cleaned_up.set()

    def _exit_outcome(self, invocation: Invocation) -> Outcome:
        if self._over_memory:
            return exited(invocation, exit_reason(-signal.SIGKILL), Kind.MEMORY)
        if self._init_error is not None:
            return failed(Kind.INIT_ERROR, self._init_error)
        return exited(invocation, self._exit)


def _kill_group(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def exit_reason(code: int) -> str:
    """A process's end in Lambda's words."""
    if code < 0:
        name = signal.strsignal(-code) or f"signal {-code}"
        return f"Runtime exited with error: signal: {name.lower()}"
    if code == 0:
        return "Runtime exited without providing a reason"
    return f"Runtime exited with error: exit status {code}"
