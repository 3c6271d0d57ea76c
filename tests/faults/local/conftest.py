"""Stacks to hurt."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from cosmic_local.stack import LocalStack

APP = Path(__file__).parents[2] / "functional" / "local" / "app"

MakeStack = Callable[..., LocalStack]


@pytest.fixture
def make_stack(tmp_path: Path) -> Iterator[MakeStack]:
    """Started stacks; stopped at the end if they still run."""
    made: list[LocalStack] = []

    def make(**options: Any) -> LocalStack:
        folder = tmp_path / f"stack-{len(made)}"
        made.append(LocalStack(APP / "template.yaml", folder, **options))
        return made[-1].start()

    yield make
    for stack in made:
        stack.stop()


def gone(pids: list[int]) -> bool:
    """Whether no process of these is left (a zombie is not left)."""

    def left(pid: int) -> bool:
        try:
            return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return False

    return not any(left(pid) for pid in pids)


def family(pid: int) -> list[int]:
    """A process and all its descendants."""
    process = psutil.Process(pid)
    return [pid, *(child.pid for child in process.children(recursive=True))]


def listens(endpoint_url: str) -> bool:
    """Whether something listens at an address."""
    host, port = endpoint_url.removeprefix("http://").split(":")
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((host, int(port))) == 0


def left_behind(folder: Path) -> list[str]:
    """What there is in a state directory beyond logs and records."""
    kept = {"logs", "invocations.jsonl", "failed-events.jsonl", "stack.log"}
    return sorted(path.name for path in folder.iterdir() if path.name not in kept)
