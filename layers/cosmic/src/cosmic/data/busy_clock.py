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
    """The time in which at least one of several threads was busy, each moment counted once."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._busy = 0
        self._began, self._total = BusyTime(0.0, 0.0), BusyTime(0.0, 0.0)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Busy while inside."""
        with self._lock:
            if self._busy == 0:
                self._began = _now()
            self._busy += 1
        try:
            yield
        finally:
            with self._lock:
                self._busy -= 1
                if self._busy == 0:
                    self._total = self._up_to(_now())

    @property
    def total(self) -> BusyTime:
        """What has been counted so far."""
        with self._lock:
            return self._up_to(_now()) if self._busy else self._total

    def _up_to(self, now: BusyTime) -> BusyTime:
        wall_s, cpu_s = self._total
        return BusyTime(
            wall_s + now.wall_s - self._began.wall_s, cpu_s + now.cpu_s - self._began.cpu_s
        )


def _now() -> BusyTime:
    return BusyTime(time.monotonic(), time.process_time())
