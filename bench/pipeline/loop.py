"""As many bare loops as there are cores, all going at once."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import Self

from bench.pipeline.busy import own_s

ROOT = Path(__file__).parents[2]


class BareLoops:
    """Processes of `bench.pipeline.bare`, one thread each."""

    def __init__(self, model: Path, partition: Path, processes: int) -> None:
        command = [sys.executable, "-m", "bench.pipeline.bare", str(model), str(partition), "1"]
        self._children = [
            subprocess.Popen(
                command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
            )
            for _ in range(processes)
        ]
        for child in self._children:
            self._line(child)

    @staticmethod
    def _line(child: subprocess.Popen[str]) -> str:
        assert child.stdout
        return child.stdout.readline()

    def run(self, rows: int) -> tuple[float, float]:
        """Wall seconds until all have done their share, and the processor's of all."""
        before = self._busy_s()
        shares = [rows // len(self._children)] * len(self._children)
        shares[0] += rows - sum(shares)
        began = time.perf_counter()
        for child, share in zip(self._children, shares, strict=True):
            assert child.stdin
            print(share, file=child.stdin, flush=True)
        for child in self._children:
            self._line(child)
        return time.perf_counter() - began, self._busy_s() - before

    def _busy_s(self) -> float:
        return sum(own_s(child.pid) for child in self._children)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for child in self._children:
            child.kill()
            child.wait()
