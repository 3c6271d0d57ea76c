"""A server that runs beside the functions, restarted when it dies."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from cosmic_local.child_process import command
from cosmic_local.errors import StackError

MAX_RESTARTS = 5
POLL_S = 0.02


class SupervisedProcess:
    """A Python module that listens on a port of loopback and writes the port to a file.

    It is started and restarted by a thread of its own, always on the port that it chose first,
    and dies with this process however that ends.

    Attributes:
        name: Its name, also of its log.
        port: Where it listens, once started.
        restarts: How often it was restarted.
    """

    def __init__(
        self,
        name: str,
        module: str,
        arguments: Callable[[int, Path], list[str]],
        folder: Path,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """Describe it; `start` starts it.

        Args:
            name: Its name.
            module: What `python -m` would run.
            arguments: From the port to take (0: any) and the port file, its command line.
            folder: Where its log and port file go.
            environment: Variables on top of this process's own.
        """
        self.name = name
        self.port = 0
        self.restarts = 0
        self._module = module
        self._arguments = arguments
        self._log = folder / "logs" / f"{name}.log"
        self._port_file = folder / f"{name}.port"
        self._environment = {**os.environ, **(environment or {})}
        self._stopping = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self._thread = threading.Thread(target=self._supervise, name=name, daemon=True)

    @property
    def pid(self) -> int | None:
        """Process id, if it runs."""
        return self._process.pid if self._process is not None else None

    def start(self, timeout_s: float = 20.0) -> None:
        """Start it and wait until it listens.

        Raises:
            StackError: it did not in time.
        """
        self._log.parent.mkdir(parents=True, exist_ok=True)
        self._port_file.unlink(missing_ok=True)
        self._thread.start()
        until = time.monotonic() + timeout_s
        while time.monotonic() < until and self._thread.is_alive():
            self.port = self._read_port()
            if self.port and self._process is not None:
                return
            time.sleep(POLL_S)
        tail = self._log.read_text(errors="replace")[-2000:] if self._log.exists() else ""
        self.stop()
        raise StackError(f"{self.name} did not start:\n{tail}")

    def stop(self, timeout_s: float = 5.0) -> None:
        """Stop it: politely, then not."""
        self._stopping.set()
        self._signal(signal.SIGTERM)
        self._thread.join(timeout_s)
        self._signal(signal.SIGKILL)
        self._thread.join(timeout_s)
        self._port_file.unlink(missing_ok=True)

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None and self._process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(number)

    def _read_port(self) -> int:
        with contextlib.suppress(OSError, ValueError):
            return int(self._port_file.read_text(encoding="ascii"))
        return 0

    def _supervise(self) -> None:
        with self._log.open("ab") as log:
            while not self._stopping.is_set() and self.restarts <= MAX_RESTARTS:
                self._process = subprocess.Popen(
                    command(self._module, *self._arguments(self.port, self._port_file)),
                    env=self._environment,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )
                if self._stopping.is_set():
                    self._process.kill()
                self._process.wait()
                if not self.port:
                    return
                self.restarts += 1
                self._stopping.wait(0.1 * self.restarts)


def rendezvous(folder: Path, secret: str) -> SupervisedProcess:
    """The FMI rendezvous server."""

    def arguments(port: int, port_file: Path) -> list[str]:
        return ["--host", "127.0.0.1", "--port", str(port), "--port-file", str(port_file)]

    environment = {"FMI_DEPLOYMENT_SECRET": secret}
    return SupervisedProcess("rendezvous", "fmilib.rendezvous", arguments, folder, environment)
