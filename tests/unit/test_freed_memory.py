"""Freed memory back to the kernel."""

from __future__ import annotations

import ctypes
import subprocess
import sys

import pytest

HOLES = """
from pathlib import Path
from cosmic.workstation.freed_memory import give_back

def held():
    (line,) = (l for l in Path("/proc/self/status").read_text().splitlines() if "RssAnon" in l)
    return int(line.split()[1])

blocks = [b"x" * 50_000 for _ in range(2000)]
last = blocks[-1]
del blocks
before = held()
give_back()
print(before - held())
"""


@pytest.mark.process
@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="not glibc")
def test_what_was_freed_below_something_in_use_is_given_back() -> None:
    done = subprocess.run([sys.executable, "-c", HOLES], capture_output=True, text=True, check=True)
    assert int(done.stdout) > 80_000  # of 100,000 kB
