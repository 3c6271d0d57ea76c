"""Ranks as threads of one process: quick, for what needs no death of a process."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import fmilib
from fmilib_support.server import DEPLOYMENT_SECRET

JOIN_S = 300.0  # longer than pytest lets a test take


@dataclass
class End:
    """How a rank ended: what its body returned or raised, and how long it took."""

    value: Any = None
    error: BaseException | None = None
    seconds: float = 0.0


class Crew:
    """Ranks that run `body(comm)` side by side, each in a thread of its own.

    Args:
        options: for `fmilib.connect`.
        job: the job's name.
        size: ranks in the job.
    """

    def __init__(self, options: dict[str, Any], job: str, size: int) -> None:
        self._options = {"timeout_s": 20.0, "detect_s": 10.0, **options}
        self._job = job
        self._size = size
        self._ends: dict[str, End] = {}
        self._threads: list[threading.Thread] = []

    def start(
        self, rank: int, body: Callable[[fmilib.Communicator], Any], name: str = "", **more: Any
    ) -> None:
        """Start one rank."""
        arguments = (name or str(rank), rank, body, more)
        thread = threading.Thread(target=self._run, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def ends(self) -> dict[str, End]:
        """Wait for all that were started; return how each ended."""
        until = time.monotonic() + JOIN_S
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))
            assert not thread.is_alive(), "a rank hangs"
        return self._ends

    def _run(
        self, name: str, rank: int, body: Callable[[fmilib.Communicator], Any], more: dict[str, Any]
    ) -> None:
        end = self._ends[name] = End()
        options = {
            "secret": fmilib.derive_secret(DEPLOYMENT_SECRET, self._job), **self._options, **more
        }  # fmt: skip
        began = time.monotonic()
        try:
            with fmilib.connect(rank, self._size, self._job, **options) as comm:
                end.value = body(comm)
        except (fmilib.FmiError, AssertionError, ValueError, TypeError) as error:
            end.error = error
        end.seconds = time.monotonic() - began


def ends(
    options: dict[str, Any], job: str, size: int, body: Callable[[fmilib.Communicator], Any]
) -> list[End]:
    """Run one body on all ranks; return how each ended, in rank order."""
    crew = Crew(options, job, size)
    for rank in range(size):
        crew.start(rank, body)
    found = crew.ends()
    return [found[str(rank)] for rank in range(size)]


def values(
    options: dict[str, Any], job: str, size: int, body: Callable[[fmilib.Communicator], Any]
) -> list[Any]:
    """Run one body on all ranks; return what each returned, or raise what one raised."""
    found = ends(options, job, size, body)
    for end in found:
        if end.error is not None:
            raise end.error
    return [end.value for end in found]
