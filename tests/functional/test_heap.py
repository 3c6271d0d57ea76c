"""Memory of large arrays goes back to the system when they are freed."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
import re, sys
import numpy as np
from cosmic.heap import bound_heap

def held_mib():
    return int(re.search(r"RssAnon:\\s+(\\d+)", open("/proc/self/status").read())[1]) >> 10

if sys.argv[1] == "bound":
    bound_heap()
np.ones(3 << 20)  # 24 MiB; freed, it raises glibc's threshold
before, small, large = held_mib(), [], []
for _ in range(40):
    large.append(np.ones(1 << 18))  # 2 MiB each
    small.append(bytes(700))
del large[:-1]  # the last one keeps the heap from shrinking
print(held_mib() - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc's heap is what is bounded")
@pytest.mark.parametrize(("kind", "kept"), [("bound", False), ("as it is", True)])
def test_freed_arrays_are_given_back(kind: str, *, kept: bool) -> None:
    command = [sys.executable, "-c", PROGRAM, kind]
    said = subprocess.run(command, check=True, capture_output=True, text=True, env={})
    assert (int(said.stdout) > 40) is kept
