"""The processor's time of programs, which a busy machine hardly changes."""

from __future__ import annotations

import psutil


def own_s(pid: int) -> float:
    """Seconds that a process has computed so far."""
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)


def descendants_s(pid: int) -> float:
    """Seconds that its living descendants have computed so far."""
    return sum(own_s(child.pid) for child in psutil.Process(pid).children(recursive=True))
