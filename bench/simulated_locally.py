"""Runs of the local stack beside their simulation, each on environments that have yet to start.

All ranks share this machine's cores, and so does whatever else runs on it. The simulation gets the
cores that others left while the ranks ran, so that a busy machine says something too.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import psutil

from bench.pipeline.busy import descendants_s, own_s
from bench.pipeline.product import ROWS, deployed
from bench.stream.inputs import TINY, fill

LOOK_S, POLL_S = 0.25, 0.5


class Looked(NamedTuple):
    """What was seen at a moment.

    Attributes:
        at_s: The moment, seconds since 1970.
        machine_s: The processors' time until then, all that runs on the machine.
        stack_s: And that of a stack: its emulator and its functions.
    """

    at_s: float
    machine_s: float
    stack_s: float


class LocalRun(NamedTuple):
    """A finished run of the local stack.

    Attributes:
        metrics: Its `metrics.json`.
        cores_left: Cores that whatever is no part of the stack left while ranks ran.
    """

    metrics: dict[str, Any]
    cores_left: float


def local_runs(model: str, rows: int, worlds: Sequence[int]) -> Iterator[LocalRun]:
    """A run of each number of ranks, each on a stack of its own, all ranks cold."""
    for world in worlds:
        with TemporaryDirectory() as scratch:
            folder = Path(scratch)
            fill(folder, [], "safetensors")
            checkpoint = TINY if model == "tiny" else folder / "bench" / "full"
            with deployed(folder, checkpoint, -(-rows // ROWS)) as product:
                product.target = replace(product.target, poll_s=POLL_S)
                with watched(product.stack.info.pid) as watch:
                    metrics = product.run(rows, world).metrics
                yield watch.run(metrics)


@dataclass
class Watch:
    """Looks at the machine and at a stack again and again."""

    pid: int
    seen: list[Looked] = field(default_factory=list)

    def look(self) -> None:
        """Look once."""
        times = psutil.cpu_times()
        busy_s = times.user + times.nice + times.system + times.irq + times.softirq + times.steal
        stack_s = descendants_s(self.pid) + own_s(self.pid)
        self.seen.append(Looked(time.time(), busy_s, stack_s))

    def run(self, metrics: dict[str, Any]) -> LocalRun:
        """The run, with what was seen from its first rank's process to its last rank's end."""
        ranks = metrics["ranks"]
        began_s = min(r["started_at_s"] - r["init_s"] for r in ranks)
        ended_s = max(r["finished_at_s"] for r in ranks)
        first = max(s for s in self.seen if s.at_s <= began_s)
        last = min(s for s in self.seen if s.at_s >= ended_s)
        wall_s, machine_s, stack_s = (b - a for a, b in zip(first, last, strict=True))
        others = max(0.0, machine_s - stack_s) / wall_s
        return LocalRun(metrics, float(os.cpu_count() or 1) - others)


@contextmanager
def watched(pid: int) -> Iterator[Watch]:
    """Look at a stack as long as the block lasts."""
    watch, ended = Watch(pid), threading.Event()

    def go_on() -> None:
        watch.look()
        while not ended.wait(LOOK_S):
            watch.look()

    thread = threading.Thread(target=go_on, daemon=True)
    thread.start()
    try:
        yield watch
    finally:
        ended.set()
        thread.join()
        watch.look()
