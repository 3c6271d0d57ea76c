"""A rendezvous in a process of its own, that tests may kill and start again."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Self

import fmilib

DEPLOYMENT_SECRET = bytes(range(32))
START_S = 20.0


class Rendezvous:
    """`python -m fmilib.rendezvous` as a child process, on loopback or in a namespace."""

    def __init__(self, *options: str, host: str = "127.0.0.1", inside: str | None = None) -> None:
        self._options = options
        self._host = host
        self._prefix = ["ip", "netns", "exec", inside] if inside else []
        self._folder = tempfile.TemporaryDirectory()
        self._log = (Path(self._folder.name) / "log").open("wb")
        self._process: subprocess.Popen[bytes] | None = None
        self.port = 0

    @property
    def address(self) -> str:
        return f"[{self._host}]:{self.port}" if ":" in self._host else f"{self._host}:{self.port}"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start it, on the port that it had before if there was one, and wait until it listens."""
        port_file = Path(self._folder.name) / "port"
        port_file.unlink(missing_ok=True)
        command = [*self._prefix, sys.executable, "-W", "error", "-m", "fmilib.rendezvous"]
        command += ["--host", self._host]
        command += ["--port", str(self.port), "--port-file", str(port_file), *self._options]
        environment = {**os.environ, "FMI_DEPLOYMENT_SECRET": DEPLOYMENT_SECRET.hex()}
        self._process = subprocess.Popen(command, env=environment, stderr=self._log)
        until = time.monotonic() + START_S
        while not port_file.exists():
            assert self._process.poll() is None, self.log()
            assert time.monotonic() < until, "the rendezvous didn't start"
            time.sleep(0.01)
        self.port = int(port_file.read_text())

    def health(self) -> dict[str, object]:
        """Return what GET /health says."""
        with urllib.request.urlopen(f"http://{self.address}/health", timeout=START_S) as answer:
            facts: dict[str, object] = json.load(answer)
            return facts

    def wait_for_ranks(self, count: int) -> None:
        """Wait until that many ranks are registered."""
        until = time.monotonic() + START_S
        while self.health()["ranks"] != count:
            assert time.monotonic() < until, self.health()
            time.sleep(0.02)

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait(START_S)

    def wait(self) -> int:
        """Return the exit code once it has ended."""
        assert self._process is not None
        return self._process.wait(START_S)

    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def descriptors(self) -> int:
        return len(list(Path(f"/proc/{self.pid}/fd").iterdir()))

    def log(self) -> str:
        return (Path(self._folder.name) / "log").read_text()

    def secret(self, job: str) -> bytes:
        return fmilib.derive_secret(DEPLOYMENT_SECRET, job)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process is not None
        if self._process.poll() is None:
            self._process.terminate()
            self._process.wait(START_S)
        self._log.close()
        log = self.log()
        self._folder.cleanup()
        assert "Traceback" not in log, log
