"""Temporary folders of stacks whose owners were killed: swept when the next stack starts."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from cosmic_local import state
from cosmic_local.errors import StackError

PREFIX = "cosmic-local-"
OWNER = "owner"


def make_folder() -> Path:
    """A temporary folder of this process's own."""
    folder = Path(tempfile.mkdtemp(prefix=PREFIX))
    (folder / OWNER).write_text(f"{os.getpid()} {state.own_start()}", encoding="ascii")
    return folder


def sweep() -> list[Path]:
    """Remove the folders that such processes left; says which.

    A folder whose owner lives, whose stack still runs, or that names no owner is left alone.
    """
    found = Path(tempfile.gettempdir()).glob(f"{PREFIX}*/{OWNER}")
    dead = [owner.parent for owner in found if not _is_used(owner.parent)]
    for folder in dead:
        shutil.rmtree(folder, ignore_errors=True)
    return dead


def _is_used(folder: Path) -> bool:
    try:
        pid, created_s = (folder / OWNER).read_text(encoding="ascii").split()
        if state.alive(int(pid), float(created_s)) is not None:
            return True
        running = state.read(folder)
    except (OSError, ValueError, StackError):
        return True
    return running is not None and running.process() is not None
