"""One use of the execution environment, for the rank's record."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from cosmic.contracts.rank_record import InvocationPart, RatesPart, WorkPart
from cosmic.ranks.environment import RankEnvironment
from cosmic.storage.interfaces import Requests


@dataclass
class InvocationStats:
    """One use of the environment: its time stamps and what it took.

    Attributes:
        at_s: Seconds since 1970 (UTC), by what happened then.
        cpu_s: The processor's time that the process had taken by then.
    """

    environment: RankEnvironment
    before: Requests
    cold_start: bool
    at_s: dict[str, float] = field(default_factory=dict)
    cpu_s: dict[str, float] = field(default_factory=dict)

    @classmethod
    def begin(cls, environment: RankEnvironment) -> Self:
        """The invocation that begins now."""
        environment.invocations += 1
        cold_start = environment.invocations == 1
        invocation = cls(environment, environment.store.requests, cold_start)
        invocation.mark("started_at_s")
        return invocation

    def mark(self, name: str) -> None:
        """Note that something has just happened."""
        self.at_s[name] = time.time()
        self.cpu_s[name] = time.process_time()

    def rates(self, work: WorkPart) -> RatesPart:
        """The record's throughput and shares, over the wall time until all rows were inferred."""
        wall_s = self.at_s["inferred_at_s"] - self.at_s["started_at_s"]
        shares = {
            "download": work["download_s"] / wall_s,
            "read_wait": work["read_wait_s"] / wall_s,
            "compute": work["compute_s"] / wall_s,
        }
        return {"rows_per_s": work["rows"] / wall_s, "shares": shares}

    def end(self) -> InvocationPart:
        """The record's fields about time, memory and S3; the record's own PUT is counted."""
        self.mark("finished_at_s")
        requests = self.environment.store.requests.since(self.before)
        return {
            "started_at_s": self.at_s["started_at_s"],
            "model_loaded_at_s": self.at_s["model_loaded_at_s"],
            "inferred_at_s": self.at_s["inferred_at_s"],
            "written_at_s": self.at_s["written_at_s"],
            "finished_at_s": self.at_s["finished_at_s"],
            "imported_at_s": self.environment.ready_at_s,
            "init_s": self.environment.init_s if self.cold_start else 0.0,
            "init_cpu_s": self.environment.init_cpu_s if self.cold_start else 0.0,
            "load_cpu_s": self._cpu_s_until("model_loaded_at_s"),
            "cpu_s": self._cpu_s_until("finished_at_s"),
            "cold_start": self.cold_start,
            "s3_reads": requests.reads,
            "s3_writes": requests.writes + 1,
            "peak_memory_mb": peak_memory_mb(),
            "memory_mb": self.environment.memory_mb,
            "pid": os.getpid(),
        }

    def _cpu_s_until(self, name: str) -> float:
        return self.cpu_s[name] - self.cpu_s["started_at_s"]


def peak_memory_mb() -> int:
    """Largest resident set of this program, MiB (proc(5), VmHWM).

    Not `ru_maxrss`, which survives exec: it would count what the parent held at the fork.
    """
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) // 1024
