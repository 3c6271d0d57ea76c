"""The local stack as the command line and the tests use it.

    with LocalStack(template=Path("template.yaml")) as stack:
        stack.client("s3").upload_file(...)

`up`, `attach` and `down` do the same for a stack that outlives its caller.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

from cosmic_local import leftovers, state
from cosmic_local.errors import StackError
from cosmic_local.lambda_pool.invocation_log import InvocationRecord, JsonLines, read_records
from cosmic_local.options import RELEASE, StackOptions

LOG_NAME = "stack.log"
STOP_S = 15.0
# Each request has a thread. With an arena for each, memory that one has freed serves no other one.
ALLOCATOR = {"MALLOC_ARENA_MAX": "1"}
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # whatever HTTP_PROXY says


class StackHandle:
    """A running stack, seen from outside.

    Attributes:
        folder: Its state directory.
        info: What it says about itself.
    """

    def __init__(self, folder: Path, info: state.StackInfo) -> None:
        self.folder = folder
        self.info = info

    @property
    def endpoint_url(self) -> str:
        """Where S3, Step Functions and the Lambda API answer."""
        return self.info.endpoint_url

    @property
    def outputs(self) -> dict[str, str]:
        """The template's outputs."""
        return self.info.outputs

    @property
    def functions(self) -> dict[str, state.FunctionInfo]:
        """Logical id → deployed function."""
        return self.info.functions

    @property
    def alive(self) -> bool:
        """Whether the stack still runs."""
        return self.info.process() is not None

    def client(self, service: str) -> Any:
        """A boto3 client for one of the stack's services."""
        from cosmic_local.client import client

        return client(service, self.endpoint_url, self.info.region)

    def invocations(self, function: str | None = None) -> list[InvocationRecord]:
        """The invocations that have ended, in that order.

        Args:
            function: Only those of the function with this logical id or name.
        """
        records = read_records(self.folder / "invocations.jsonl")
        return [r for r in records if function in (None, r.logical_id, r.function)]

    def running(self) -> list[dict[str, Any]]:
        """The invocations being served now: function, request id, pid, event and so on."""
        found: list[dict[str, Any]] = self._ask("running")
        return found

    def throttles(self) -> dict[str, int]:
        """How often each function was refused because too much ran, by its name."""
        found: dict[str, int] = self._ask("throttles")
        return found

    def calls(self) -> list[dict[str, str]]:
        """The distinct calls to AWS's APIs so far: caller, IAM action, ARN (of S3's resources)."""
        found: list[dict[str, str]] = self._ask("calls")
        return found

    def _ask(self, what: str) -> Any:
        address = f"{self.endpoint_url}/_cosmic/{what}"
        try:
            with DIRECT.open(address, timeout=10) as response:
                return json.load(response)
        except OSError as error:
            raise StackError(f"the stack does not answer: {error}") from error

    def failed_events(self) -> list[dict[str, Any]]:
        """Records of the asynchronous events that failed for good."""
        return list(JsonLines(self.folder / "failed-events.jsonl").read())

    def log_files(self, function: str | None = None) -> list[Path]:
        """The log of every execution environment, oldest first.

        Args:
            function: Only those of the function with this logical id or name.
        """
        info = self.functions.get(function or "")
        name = info.name if info is not None else (function or "*")
        return sorted(self.folder.glob(f"logs/{name}/*.log"), key=lambda path: path.name)

    def logs(self, function: str | None = None) -> str:
        """The text of the logs, oldest environment first."""
        return "".join(p.read_text(errors="replace") for p in self.log_files(function))

    def stop(self) -> None:
        """Stop the stack and remove all that it left except logs and records."""
        process = self.info.process()
        if process is not None:
            process.send_signal(signal.SIGTERM)
            if not state.wait_gone(process, STOP_S):
                process.kill()
                state.wait_gone(process, STOP_S)
            with contextlib.suppress(ChildProcessError):  # It may be a child of this process.
                os.waitpid(process.pid, os.WNOHANG)
        _clean(self.folder)


class LocalStack(StackHandle):
    """A stack that lives as long as a `with` block, or as long as this process at most."""

    def __init__(
        self,
        template: Path,
        state_dir: Path | None = None,
        parameters: Mapping[str, str] | None = None,
        *,
        environment: Mapping[str, str] | None = None,
        concurrency: int = 100,
        rendezvous: bool = False,
        name: str = "cosmic",
        region: str = "us-east-1",
        port: int = 0,
        idle_s: float = 120.0,
        data: Path | None = None,
        start_timeout_s: float = 60.0,
    ) -> None:
        """Describe it; entering the block, or `start`, starts it.

        Args:
            template: The SAM template.
            state_dir: Where logs and records go; without it they are removed at the end.
            parameters: Values for the template's parameters.
            environment: Variables that every function gets, over those of the template.
            concurrency: Invocations at once over all functions; fewer where memory is short.
            rendezvous: Whether the FMI rendezvous server is started, too.
            name: The stack's name.
            region: The region that is played.
            port: Where the emulator listens; 0 takes a free port.
            idle_s: How long an idle execution environment is kept.
            data: Where objects and executions are kept beyond the stack's end.
            start_timeout_s: After which a stack that isn't ready has failed.
        """
        self._temporary = state_dir is None
        folder = leftovers.make_folder() if state_dir is None else state_dir
        self.folder = folder.resolve()
        self._options = StackOptions(
            template=template,
            state_dir=self.folder,
            parameters=parameters or {},
            environment=environment or {},
            concurrency=concurrency,
            rendezvous=rendezvous,
            name=name,
            region=region,
            port=port,
            idle_s=idle_s,
            data=data.resolve() if data is not None else None,
        )
        self._start_timeout_s = start_timeout_s
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> Self:
        """Start it and wait until everything is deployed.

        Raises:
            StackError: it could not be started, or not in time; says what its log says.
        """
        leftovers.sweep()
        try:
            self._process, self.info = _launch(self._options, self._start_timeout_s)
        except BaseException:
            self._remove_temporary()
            raise
        return self

    def stop(self) -> None:
        """Stop it and remove what it left behind."""
        if self._process is not None:
            _end(self._process)
            self._process = None
        _clean(self.folder)
        self._remove_temporary()

    def _remove_temporary(self) -> None:
        if self._temporary:
            shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()


def up(options: StackOptions, start_timeout_s: float = 60.0) -> StackHandle:
    """Start a stack that outlives this process.

    Raises:
        StackError: one runs in that state directory already, or this one did not start.
    """
    folder = options.state_dir.resolve()
    found = state.read(folder)
    if found is not None and found.process() is not None:
        raise StackError(
            f"a stack is already running at {found.endpoint_url}", hint="stop it first"
        )
    # Until it is ready it ends with this process, whatever interrupts that.
    process, info = _launch(replace(options, state_dir=folder), start_timeout_s)
    _release(process)
    return StackHandle(folder, info)


def attach(state_dir: Path) -> StackHandle:
    """The stack that runs in a state directory.

    Raises:
        StackError: none does.
    """
    folder = state_dir.resolve()
    found = state.read(folder)
    if found is None or found.process() is None:
        message, hint = f"no stack is running in {folder}", "`cosmic local up` starts one"
        raise StackError(message, code="no-stack", hint=hint)
    return StackHandle(folder, found)


def down(state_dir: Path) -> bool:
    """Stop the stack of a state directory, if one runs; clean up in any case.

    Returns:
        Whether one ran.
    """
    folder = state_dir.resolve()
    found = state.read(folder)
    if found is None:
        _clean(folder)
        return False
    ran = found.process() is not None
    StackHandle(folder, found).stop()
    return ran


def _launch(
    options: StackOptions, timeout_s: float
) -> tuple[subprocess.Popen[bytes], state.StackInfo]:
    folder = options.state_dir
    folder.mkdir(parents=True, exist_ok=True)
    state.remove(folder)
    log = folder / LOG_NAME
    with log.open("wb") as stream:
        process = subprocess.Popen(
            [sys.executable, "-m", "cosmic_local", *options.arguments()],
            env={**ALLOCATOR, **os.environ},
            stdin=subprocess.PIPE,
            stdout=stream,
            stderr=stream,
            start_new_session=True,
        )
    try:
        return process, _await_ready(process, folder, log, timeout_s)
    except BaseException:
        _end(process)
        _clean(folder)
        raise


def _release(process: subprocess.Popen[bytes]) -> None:
    """Let a stack outlive this process."""
    if process.stdin is not None:
        with contextlib.suppress(BrokenPipeError), process.stdin:
            process.stdin.write(RELEASE)
    process.returncode = 0  # It is no longer ours to wait for.


def _await_ready(
    process: subprocess.Popen[bytes], folder: Path, log: Path, timeout_s: float
) -> state.StackInfo:
    until = time.monotonic() + timeout_s
    while time.monotonic() < until:
        ended = process.poll() is not None
        info = state.read(folder)
        if info is not None and not ended:
            return info
        if ended:
            raise StackError(f"the stack ended while starting:\n{_tail(log)}")
        time.sleep(0.02)
    raise StackError(f"the stack was not ready after {timeout_s:g} s:\n{_tail(log)}")


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.stdin is not None:
        with contextlib.suppress(OSError):
            process.stdin.close()
    if process.poll() is None:
        process.terminate()
    try:
        process.wait(STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(STOP_S)


def _clean(folder: Path) -> None:
    for name in ("environments", "layouts", "tmp"):
        shutil.rmtree(folder / name, ignore_errors=True)
    state.remove(folder)


def _tail(log: Path) -> str:
    size = log.stat().st_size
    with log.open("rb") as stream:
        stream.seek(max(0, size - 4000), os.SEEK_SET)
        return stream.read().decode(errors="replace").strip()
