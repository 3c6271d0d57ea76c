"""How long several threads were busy together."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from typing import NamedTuple


class BusyTime(NamedTuple):
    """Seconds of wall time, and of the processor's in all threads of the process meanwhile."""

    wall_s: float
    cpu_s: float


class BusyClock:
    """The time in which several threads were busy, each moment counted once.

    A moment in which only some of those were busy that can be counts as that share of it.

    Args:
        at_once: How many can be busy at the same time; more of them wait for each other.
    """

    def __init__(self, at_once: int = 1) -> None:
        self._lock = Lock()
        self._at_once, self._busy = at_once, 0
        self._seen, self._total = _now(), BusyTime(0.0, 0.0)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Busy while inside."""
        with self._lock:
            self._count()
            self._busy += 1
        try:
            yield
        finally:
            with self._lock:
                self._count()
                self._busy -= 1

    @property
    def total(self) -> BusyTime:
        """What has been counted so far; the processor's time is that while any was busy."""
        with self._lock:
            self._count()
            return self._total

    def _count(self) -> None:
        before, self._seen = self._seen, _now()
        if self._busy:
            share = min(self._busy, self._at_once) / self._at_once
            wall_s = self._total.wall_s + share * (self._seen.wall_s - before.wall_s)
            cpu_s = self._total.cpu_s + self._seen.cpu_s - before.cpu_s
            self._total = BusyTime(wall_s, cpu_s)


def _now() -> BusyTime:
    return BusyTime(time.monotonic(), time.process_time())
