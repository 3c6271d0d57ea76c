"""Memory by the page, which the kernel has back as soon as nobody looks at it."""

from __future__ import annotations

import contextlib
import mmap


def page_memory(length: int) -> mmap.mmap:
    """Zeroed bytes, at least one, that take no memory until something is written to them.

    Not from the heap: glibc has one for each of some threads, and those of other threads than the
    first keep what was freed at their ends. Buffers of blocks that several threads make in turn
    would so be held several times.

    Where the kernel offers pages of 2 MiB, it is asked for them: a fault for every 4 KiB takes
    longer than filling them.
    """
    made = mmap.mmap(-1, max(length, 1), flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    with contextlib.suppress(OSError):  # a kernel without them
        made.madvise(mmap.MADV_HUGEPAGE)
    return made
