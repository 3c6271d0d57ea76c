"""Freed memory back to the kernel."""

from __future__ import annotations

import ctypes


def give_back() -> None:
    """Give the kernel what was freed and the C library keeps, where that is glibc.

    glibc has a heap for each of some threads and shrinks them at their ends alone; malloc_trim(3)
    gives back all free pages. What packing leaves is more than the engine needs.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
