"""What Cosmic needs of a machine, and what it finds there."""

from __future__ import annotations

import importlib.util
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from cosmic.client.deployment import Deployment
from cosmic.contracts.engines import AUTO_ENGINE, ENGINES
from cosmic.errors import CosmicError

PYTHON = (3, 11)
DISK_BYTES = 2 << 30
PACKAGES = (
    "cosmic",
    "fmilib",
    "cosmic-cli",
    "cosmic-local",
    "moto",
    "awslambdaric",
    "pyarrow",
    "fitsio",
    "h5py",
)
RENDEZVOUS_PORT = 7600
ENGINES_OF_CONTAINERS = ("docker", "podman", "finch")


@dataclass(frozen=True)
class Check:
    """One thing that was looked at.

    Attributes:
        ok: Whether it is as it should be.
        needed: Whether the local stack or what was asked for works without it.
        detail: What was found.
        why: What it is for.
        way_out: What to do if it isn't ok.
    """

    name: str
    ok: bool
    needed: bool
    detail: str
    why: str
    way_out: str = ""


def checks(root: Path, aws: Callable[[], Check] | None) -> Iterator[Check]:
    """All checks; those of AWS if they are asked for."""
    yield python()
    yield from (package(name) for name in PACKAGES)
    yield from (engine(name) for name in ENGINES)
    yield project(root)
    yield free_port()
    yield fixed_port(RENDEZVOUS_PORT)
    yield disk(Path.cwd())
    yield container_engine()
    yield sam()
    if aws is not None:
        yield aws()


def python() -> Check:
    """The interpreter's version."""
    found = ".".join(map(str, sys.version_info[:3]))
    ok = sys.version_info >= PYTHON
    hint = "install Python 3.11 or newer, and make the environment with it: make env PYTHON=…"
    return Check("Python", ok, True, found, "runs everything", hint)


def package(name: str) -> Check:
    """An installed distribution."""
    why, hint = "part of the local stack and of the command", "make env"
    try:
        return Check(name, True, True, version(name), why)
    except PackageNotFoundError:
        return Check(name, False, True, "not installed", why, hint)


def engine(name: str) -> Check:
    """A library that runs models."""
    needed = name == AUTO_ENGINE
    why = "runs the model" if needed else "another engine, for comparison"
    if importlib.util.find_spec(name) is None:
        return Check(f"engine {name}", False, needed, "not installed", why, f"pip install {name}")
    return Check(f"engine {name}", True, needed, version(name), why)


def project(root: Path) -> Check:
    """A checkout, whose template the local stack deploys."""
    ok = (root / "template.yaml").is_file()
    detail = str((root / "template.yaml").resolve()) if ok else f"no template.yaml in {root}"
    hint = "go into the project's folder, or give --root; without it only --stack works"
    return Check("project", ok, False, detail, "the local stack and the demo deploy it", hint)


def free_port() -> Check:
    """Whether a port can be opened on loopback."""
    why, hint = "emulator and functions talk over it", "allow programs to listen on 127.0.0.1"
    return _listening("loopback", 0, True, why, hint)


def fixed_port(port: int) -> Check:
    """Whether the rendezvous' usual port is free."""
    hint = "give `cosmic rendezvous` another --port"
    return _listening(f"port {port}", port, False, "`cosmic rendezvous` listens there", hint)


def _listening(name: str, port: int, needed: bool, why: str, hint: str) -> Check:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            return Check(name, False, needed, error.strerror or str(error), why, hint)
        return Check(name, True, needed, "can be listened on", why)


def disk(folder: Path) -> Check:
    """Room for data, results and the emulator's objects."""
    free = shutil.disk_usage(folder).free
    hint = f"free {DISK_BYTES >> 30} GiB, or work in another folder"
    why = "data sets, results and the local stack's objects"
    detail = f"{free / (1 << 30):.1f} GiB free in {folder}"
    return Check("disk", free >= DISK_BYTES, True, detail, why, hint)


def container_engine() -> Check:
    """A container engine that answers."""
    why = "`sam build` of the infer image; the local stack needs none"
    for name in ENGINES_OF_CONTAINERS:
        if (path := shutil.which(name)) and _answers([path, "info"]):
            return Check("container engine", True, False, name, why)
    hint = f"install and start one of {', '.join(ENGINES_OF_CONTAINERS)}"
    return Check("container engine", False, False, "none answers", why, hint)


def sam() -> Check:
    """AWS's deployment command, on the path or in the project's environment for it."""
    why, hint = (
        "deploys to AWS",
        "make env, or pip install aws-sam-cli in an environment of its own",
    )
    beside = Path(sys.prefix).parent / ".venv-sam/bin/sam"
    path = shutil.which("sam") or (str(beside) if os.access(beside, os.X_OK) else None)
    return Check("SAM", path is not None, False, path or "not found", why, hint)


def aws_stack(stack: str, profile: str | None, region: str | None) -> Check:
    """Credentials, region and stack, by looking at the stack."""
    why = "commands without --local act on it"
    try:
        deployment = Deployment.on_aws(stack, profile, region)
    except CosmicError as error:
        return Check("AWS", False, True, f"{error.code}: {error.message}", why, error.hint)
    return Check("AWS", True, True, f"stack {stack}, bucket {deployment.bucket}", why)


def _answers(command: list[str]) -> bool:
    try:
        return subprocess.run(command, capture_output=True, timeout=10, check=False).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False
