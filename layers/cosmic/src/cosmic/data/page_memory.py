"""Memory by the page, used again and again while data stream through it."""

from __future__ import annotations

import contextlib
import math
import mmap
from collections import deque
from threading import RLock
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

STEP_BYTES = 1 << 20
KEPT_BYTES = 24 << 20

Pages = NDArray[np.uint8]


def page_memory(length: int) -> memoryview:
    """Bytes, with whatever they held before.

    Not from the heap: glibc has one for each of some threads, and those of other threads than the
    first keep what was freed at their ends. Buffers of blocks that several threads make in turn
    would so be held several times.

    What nobody looks at any more is used again, up to `KEPT_BYTES` of it; the rest goes back to the
    kernel. The kernel clears each page that it gives out, which takes as long as filling it with
    data that is there. Where it offers pages of 2 MiB, it is asked for them: a fault for every 4
    KiB takes longer still.
    """
    return _leased(length)[:length].data


def page_array(shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
    """An array in such memory, with whatever it held before."""
    kind = np.dtype(dtype)
    length = math.prod(shape) * kind.itemsize
    return _leased(length)[:length].view(kind).reshape(shape)


class _Lease:
    """What arrays hold on to while they look at pages; then the pages are free."""

    def __init__(self, pages: Pages, free: _Free) -> None:
        self.__array_interface__ = pages.__array_interface__
        self._pages, self._free = pages, free

    def __del__(self) -> None:
        self._free.put(self._pages)


class _Free:
    """Pages that nobody looks at."""

    def __init__(self) -> None:
        self._pages: deque[Pages] = deque()
        self._lock = RLock()  # a lease may end while this thread holds it

    def take(self, size: int) -> Pages | None:
        """Pages of this size, if there are any."""
        with self._lock:
            for at, pages in enumerate(self._pages):
                if len(pages) == size:
                    del self._pages[at]
                    return pages
        return None

    def put(self, pages: Pages) -> None:
        """Keep them, in place of those that were not wanted for the longest time."""
        with self._lock:
            self._pages.append(pages)
            while sum(map(len, self._pages)) > KEPT_BYTES:
                self._pages.popleft()


_free = _Free()


def _leased(length: int) -> Pages:
    size = max(1, -(-length // STEP_BYTES)) * STEP_BYTES
    pages = _free.take(size)
    if pages is None:
        pages = np.frombuffer(new_pages(size), np.uint8)
    return np.asarray(_Lease(pages, _free))


def new_pages(length: int) -> mmap.mmap:
    """Zeroed pages of their own, at least one byte; they are not used again."""
    made = mmap.mmap(-1, max(length, 1), flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    with contextlib.suppress(OSError):  # a kernel without them
        made.madvise(mmap.MADV_HUGEPAGE)
    return made
