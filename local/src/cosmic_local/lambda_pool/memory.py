"""How much memory a process has, and has had."""

from __future__ import annotations

from pathlib import Path

import psutil


def resident_bytes(process: psutil.Process) -> int:
    """Resident memory now; 0 for a process that has gone."""
    try:
        return int(process.memory_info().rss)
    except psutil.Error:
        return 0


def peak_bytes(pid: int) -> int:
    """The most resident memory that a process ever had, where the system says so; else 0."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:")), 0)
