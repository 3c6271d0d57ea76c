"""How the C library of this process hands out memory; only glibc can be told."""

from __future__ import annotations

import ctypes
import os
import sys

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -3, -8  # mallopt(3)
OWN_MAPPING_BYTES = 1 << 20
KEPT_BYTES = 16 << 20
HEAPS = 2


def bound_heap() -> None:
    """Give large arrays back to the system as they are freed, and let threads share two heaps.

    glibc raises the size from which an allocation has a mapping of its own to that of the largest
    one freed so far, up to 32 MiB, and gives threads heaps of their own. Blocks of rows then lie in
    many heaps between small objects that stay, and a process that streams a file keeps growing. A
    size that is set stays as it is. Setting one also stops glibc from raising what it keeps at the
    end of a heap: 128 KiB, so that arrays smaller than `OWN_MAPPING_BYTES` would be taken from the
    system again for each block of rows, which took `aggregate` a third more processor time.

    Does nothing where the user has set glibc's variables, or where there is another C library. It
    must be called before threads start.
    """
    if not sys.platform.startswith("linux") or _chosen_by_user():
        return
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except AttributeError:
        return
    mallopt(M_MMAP_THRESHOLD, OWN_MAPPING_BYTES)
    mallopt(M_TRIM_THRESHOLD, KEPT_BYTES)
    mallopt(M_ARENA_MAX, HEAPS)


def _chosen_by_user() -> bool:
    return any(name.startswith("MALLOC_") or name == "GLIBC_TUNABLES" for name in os.environ)
