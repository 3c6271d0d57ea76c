"""Everything built, and a local stack whose functions are containers."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from container_lab.engine import BRIDGE, Engine
from container_lab.interpreter import Interpreter
from cosmic.contracts.location import Location
from cosmic.storage.objects import Store
from cosmic_local.stack import StackHandle, attach
from fmilib_support.natlab import enter

ROOT = Path(__file__).parents[2]
SAM, COSMIC = ROOT / ".venv-sam/bin/sam", ROOT / ".venv/bin/cosmic"
PORT = 3001
AS_ANYONE = {
    "AWS_ACCESS_KEY_ID": "local",
    "AWS_SECRET_ACCESS_KEY": "local",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_ENDPOINT_URL_STS": "http://127.0.0.1:9",  # sam would ask AWS who we are
    "AWS_MAX_ATTEMPTS": "1",
    "SAM_CLI_TELEMETRY": "0",
}


class Lab:
    """An engine with everything built, and the folder of a local stack.

    Attributes:
        template: The built template, with the stack's variables once there is a stack.
        sam_log: What `sam local start-lambda` printed.
    """

    def __init__(self, engine: Engine, folder: Path) -> None:
        self.engine = engine
        self.folder = folder
        self.template = folder / "build/template.yaml"
        self.sam_log = folder / "sam.log"
        self._state = folder / "state"
        self._inside = ThreadPoolExecutor(1, initializer=enter, initargs=(engine.namespace,))

    def inside(self, call: Callable[[], Any]) -> Any:
        """What a call gives in the engine's network."""
        return self._inside.submit(call).result()

    def stack(self) -> StackHandle:
        """The running stack; it answers from inside."""
        return attach(self._state)

    def put(self, key: str, source: Path) -> None:
        """Upload a file into the stack's bucket."""
        at = Location(self.stack().outputs["DataBucketName"], key)
        self.inside(lambda: Store(self.stack().client("s3")).upload(source, at))

    def build(self, python: Interpreter, wheels: Path) -> None:
        """All of it, as `make deploy` builds it, for the Python of the stand-in."""
        self.engine.run(
            *(SAM, "build", "--build-dir", self.template.parent),
            cwd=ROOT,
            variables={
                **AS_ANYONE,
                "PYTHON_VERSION": python.version,
                "PIP_NO_INDEX": "1",
                "PIP_FIND_LINKS": str(wheels),
            },
        )

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """The local stack with `sam local start-lambda` behind it."""
        self._cosmic("up", "--host", BRIDGE, "--lambda-endpoint", f"http://127.0.0.1:{PORT}")
        try:
            self.template = Path(self._cosmic("sam-template", "--built", self.template).strip())
            with self._lambda_service():
                yield
        finally:
            self._cosmic("down")

    def invoke(self, function: str, event: str) -> Any:
        """What `sam local invoke` gives for a ready event."""
        done = self.engine.run(
            *(SAM, "local", "invoke", function, "--skip-pull-image"),
            *("--template", self.template, "--event", f"events/{event}.json"),
            cwd=ROOT,
            variables=AS_ANYONE,
        )
        return json.loads(done.stdout.strip().splitlines()[-1])

    def _cosmic(self, *words: object) -> str:
        command = (COSMIC, "local", *words, "--state-dir", self._state)
        return self.engine.run(*command, cwd=ROOT).stdout

    @contextlib.contextmanager
    def _lambda_service(self) -> Iterator[None]:
        words = [SAM, "local", "start-lambda", "--port", PORT, "--template", self.template]
        with self.sam_log.open("wb") as log:
            process = subprocess.Popen(
                self.engine.inside(*words, "--skip-pull-image"),
                cwd=ROOT,
                env={**os.environ, **self.engine.environment, **AS_ANYONE},
                stdout=log,
                stderr=log,
            )
            try:
                self.inside(_await_service)
                yield
            finally:
                process.terminate()
                process.wait(30)


def _await_service(timeout_s: float = 60.0) -> None:
    until = time.monotonic() + timeout_s
    while True:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{PORT}/", timeout=5):
                return
        except urllib.error.HTTPError:
            return  # it answers
        except OSError:
            assert time.monotonic() < until, "sam local start-lambda does not answer"
            time.sleep(0.1)
