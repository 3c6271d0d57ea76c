"""Unit tests start no process and open no socket; the few that must are marked, and left out of
`make test-unit`."""

from __future__ import annotations

import platform
import sys
from collections.abc import Iterator

import pytest

OUTSIDE = {
    *("subprocess.Popen", "os.posix_spawn", "os.fork", "os.exec", "os.system"),
    *("socket.connect", "socket.bind"),
}
_held_to_it: list[str] = []


def _refuse_what_is_outside(event: str, _arguments: object) -> None:
    if _held_to_it and event in OUTSIDE:
        hint = "it belongs under tests/functional, or is marked `process`"
        raise RuntimeError(f"{_held_to_it[-1]} is a unit test and does {event}: {hint}")


platform.processor()  # which starts uname(1), and keeps its answer
sys.addaudithook(_refuse_what_is_outside)


@pytest.fixture(autouse=True)
def inside(request: pytest.FixtureRequest) -> Iterator[None]:
    """Hold a test to it, unless it is marked."""
    if request.node.get_closest_marker("process"):
        yield
        return
    _held_to_it.append(request.node.nodeid)
    yield
    _held_to_it.pop()
