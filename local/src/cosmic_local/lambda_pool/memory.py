"""How much memory a process has, and has had, and how many processes the machine has room for."""

from __future__ import annotations

from pathlib import Path

import psutil

PROCESS_BYTES = 200 << 20  # a rank of the tiny model: 130 to 190 MB
SHARE = 0.8  # of what is free: the rest is for the emulator's objects and everybody else
LEAST = 8


def affordable(wanted: int, available_bytes: int) -> int:
    """How many processes may serve at once, so that the machine's memory holds them.

    Args:
        wanted: If there is room for all.
        available_bytes: What is free.

    Returns:
        `LEAST` at least, as far as so many are wanted: a run takes several.
    """
    room = int(available_bytes * SHARE) // PROCESS_BYTES
    return min(wanted, max(LEAST, room))


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
