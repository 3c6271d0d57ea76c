"""How often this process looks for reference cycles: seldom, and not when it ends."""

from __future__ import annotations

import gc

NEW_OBJECTS = 10_000


def collect_seldom() -> None:
    """Look for cycles after `NEW_OBJECTS` new objects.

    Importing makes some hundred thousand, all of which stay. Python's own 700 had them looked
    through hundreds of times, which took `predict` a tenth of a second.
    """
    gc.set_threshold(NEW_OBJECTS)


def end_without_collecting() -> None:
    """Leave what is in memory to the system, which has it back a moment later.

    What has to be done at the end of a process is still done: Python runs what `atexit` was told,
    flushes files and waits for threads. It only no longer looks for cycles among all objects there
    are.
    """
    gc.freeze()
