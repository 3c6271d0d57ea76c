"""Files of one invocation, and what an earlier one left of them.

A function that is killed, by a time limit or for its memory, removes nothing. Lambda then starts
a new process in the same environment and keeps `/tmp`, which would fill up with each such death.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir

PREFIX = "cosmic-scratch-"
OWNER = re.compile(rf"{PREFIX}(\d+)-")


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """A folder that is removed at the end of the `with` block; its name says whose it is."""
    with TemporaryDirectory(prefix=f"{PREFIX}{os.getpid()}-") as folder:
        yield Path(folder)


def sweep() -> int:
    """Remove the scratch folders of processes that have ended; called as a function starts.

    Folders with this process's own number are an earlier process's too, as this one has made none.

    Returns:
        How many folders were removed.
    """
    found = [(path, OWNER.match(path.name)) for path in Path(gettempdir()).iterdir()]
    left = [path for path, owner in found if owner and not _alive(int(owner[1]))]
    for path in left:
        shutil.rmtree(path, ignore_errors=True)
    return len(left)


def _alive(pid: int) -> bool:
    if pid == os.getpid():
        return False
    try:
        os.kill(pid, 0)  # sends nothing; unlike /proc it is there on every Unix
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # another user's
    return True
