"""One use of the execution environment, for the rank's record."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from cosmic.ranks.environment import RankEnvironment
from cosmic.storage.objects import Requests


@dataclass
class InvocationStats:
    """One use of the environment: its time stamps and what it took."""

    environment: RankEnvironment
    before: Requests
    cold_start: bool
    at_s: dict[str, float]

    @classmethod
    def begin(cls, environment: RankEnvironment) -> Self:
        """The invocation that begins now."""
        environment.invocations += 1
        cold_start = environment.invocations == 1
        return cls(
            environment, environment.store.requests, cold_start, {"started_at_s": time.time()}
        )

    def mark(self, name: str) -> None:
        """Note that something has just happened."""
        self.at_s[name] = time.time()

    def rates(self, facts: Mapping[str, Any]) -> dict[str, Any]:
        """The record's throughput and shares, over the wall time until all rows were inferred."""
        wall_s = self.at_s["inferred_at_s"] - self.at_s["started_at_s"]
        shares = {
            name: facts[f"{name}_s"] / wall_s for name in ("download", "read_wait", "compute")
        }
        return {"rows_per_s": facts["rows"] / wall_s, "shares": shares}

    def end(self) -> dict[str, Any]:
        """The record's fields about time, memory and S3; the record's own PUT is counted."""
        self.mark("finished_at_s")
        requests = self.environment.store.requests.since(self.before)
        return {
            **self.at_s,
            "imported_at_s": self.environment.ready_at_s,
            "init_s": self.environment.init_s if self.cold_start else 0.0,
            "cold_start": self.cold_start,
            "s3_reads": requests.reads,
            "s3_writes": requests.writes + 1,
            "peak_memory_mb": peak_memory_mb(),
            "memory_mb": self.environment.memory_mb,
            "pid": os.getpid(),
        }


def peak_memory_mb() -> int:
    """Largest resident set of this program, MiB (proc(5), VmHWM).

    Not `ru_maxrss`, which survives exec: it would count what the parent held at the fork.
    """
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) // 1024
