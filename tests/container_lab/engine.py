"""A container engine of the tests' own, in a network namespace of its own.

The bridge, its rules and published ports stay inside the namespace; images and containers lie in
one folder. All of it goes with the block.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

BRIDGE = "172.17.0.1"
START_S = 30.0
FOLLOWING = ("setpriv", "--pdeathsig", "TERM")
STOP_S = 20.0
TOOLS = ("dockerd", "docker", "iptables", "ip", "nsenter", "setpriv")


def why_not() -> str | None:
    """Return why this machine can't have the engine; None if it can."""
    if sys.platform != "linux":
        return "containers are tested on Linux only"
    if os.geteuid() != 0:
        return "a container engine needs root"
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    if missing:
        return f"not installed: {', '.join(missing)} (Debian: docker.io iptables iproute2)"
    return None


class Engine:
    """A running dockerd.

    Attributes:
        folder: Everything that it keeps.
        namespace: Where it, its containers and whoever talks to them are.
        host: Address of its socket.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.namespace = folder.name
        self.host = f"unix://{folder}/docker.sock"
        self.environment = {
            "DOCKER_HOST": self.host,
            "DOCKER_CONFIG": str(folder / "config"),
        }

    def inside(self, *words: object) -> list[str]:
        """A command, as it is called to run in the engine's network."""
        return ["nsenter", f"--net=/run/netns/{self.namespace}", *map(str, words)]

    def run(
        self,
        *words: object,
        cwd: Path | None = None,
        variables: Mapping[str, str] | None = None,
        check: bool = True,
    ) -> subprocess.CompletedProcess[str]:
        """Run a command in the engine's network; without `check` it may fail."""
        done = subprocess.run(
            self.inside(*words),
            cwd=cwd,
            env={**os.environ, **self.environment, **(variables or {})},
            capture_output=True,
            text=True,
            check=False,
        )
        assert not check or done.returncode == 0, done.stdout + done.stderr
        return done

    def docker(self, *words: object) -> str:
        """What a docker command prints."""
        return self.run("docker", *words).stdout


@contextlib.contextmanager
def running_engine() -> Iterator[Engine]:
    """An engine for as long as the block lasts."""
    engine = Engine(Path(tempfile.mkdtemp(prefix="cosmic-lab-")))
    with contextlib.ExitStack() as stack:
        stack.callback(_remove, engine.folder)
        _call("ip", "netns", "add", engine.namespace)
        stack.callback(_call, "ip", "netns", "del", engine.namespace)
        _call("ip", "-n", engine.namespace, "link", "set", "lo", "up")
        log = stack.enter_context((engine.folder / "dockerd.log").open("wb"))
        daemon = subprocess.Popen(
            # It goes with whoever started it, however that ends.
            [*FOLLOWING, *engine.inside(*_daemon(engine.folder))],
            stdout=log,
            stderr=log,
        )
        stack.callback(_stop, engine, daemon)
        _await(engine, daemon)
        yield engine


def _daemon(folder: Path) -> list[str]:
    return [
        *("dockerd", "--host", f"unix://{folder}/docker.sock"),
        *("--data-root", f"{folder}/data", "--exec-root", f"{folder}/exec"),
        *("--pidfile", f"{folder}/dockerd.pid", "--storage-driver", "overlay2"),
        *("--bip", f"{BRIDGE}/16"),
    ]


def _await(engine: Engine, daemon: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + START_S
    while engine.run("docker", "info", check=False).returncode:
        log = (engine.folder / "dockerd.log").read_text()
        assert daemon.poll() is None, log
        assert time.monotonic() < until, log
        time.sleep(0.1)


def _stop(engine: Engine, daemon: subprocess.Popen[bytes]) -> None:
    if containers := engine.docker("ps", "--all", "--quiet").split():
        engine.docker("rm", "--force", *containers)
    daemon.terminate()
    try:
        daemon.wait(STOP_S)
    except subprocess.TimeoutExpired:
        daemon.kill()
        daemon.wait()


def _remove(folder: Path) -> None:
    mounts = [line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()]
    for mount in reversed([m for m in mounts if Path(m).is_relative_to(folder)]):
        _call("umount", "--lazy", mount)
    shutil.rmtree(folder)


def _call(*words: str) -> None:
    subprocess.run(words, check=True, capture_output=True)
