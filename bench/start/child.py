"""`-m bench.start.child FUNCTION [RUN [withdraw]]`: a function's start here, step by step.

Prints a JSON list of steps: what each took, and at its end how old the process was and how long it
had computed. A step inside
another comes before it. Without a run nothing but imports happens. Standard library only until the
handler is imported.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import time
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
STEPS = (  # of a rank: what each is called, and the function that is one
    ("plan read", "cosmic.ranks.run_rank", "read_plan"),
    ("library imported (while the model is read)", "cosmic.ranks.environment", "preload"),
    (
        "model read and checked, library imported",
        "cosmic.ranks.environment",
        "RankEnvironment._checkpoint",
    ),
    ("graph built and compiled", "cosmic.model.engine", "Engine.__init__"),
    ("first 64 redshifts", "cosmic.model.engine", "Engine.redshifts"),
)


class Clock:
    """The steps of one function in this process."""

    def __init__(self, function: str) -> None:
        self.function = function
        self.steps: list[dict[str, Any]] = []

    def ended(self, step: str, took_s: float) -> None:
        """Note a step the first time that it ends."""
        if step not in [one["step"] for one in self.steps]:
            self.steps.append(
                {
                    "function": self.function,
                    "step": step,
                    "took_s": took_s,
                    "age_s": age_s(),
                    "cpu_s": time.process_time(),
                }
            )

    def timed(self, step: str, inner: Callable[..., Any]) -> Callable[..., Any]:
        """The same function, noted as a step."""

        @wraps(inner)
        def outer(*args: Any, **named: Any) -> Any:
            began = time.monotonic()
            result = inner(*args, **named)
            self.ended(step, time.monotonic() - began)
            return result

        return outer


def main() -> None:
    """Start the function that is named; of `infer`, run a rank."""
    function, *run = sys.argv[1:]
    withdraws = run[1:] == ["withdraw"]
    clock = Clock(f"{function}, withdrawing" if withdraws else function)
    clock.ended("interpreter", age_s())
    clock.timed("runtime client imported", importlib.import_module)("awslambdaric.bootstrap")
    sys.path.insert(0, str(ROOT / "functions" / function))
    app = clock.timed("handler imported, clients made", importlib.import_module)("app")
    if withdraws:
        _withdraw(app, clock, run[0])
    elif run and function == "infer":
        _rank(app, clock, run[0])
    print(json.dumps(clock.steps))


def _rank(app: Any, clock: Clock, run: str) -> None:
    for step, module, name in STEPS:
        *owner, attribute = name.split(".")
        place = importlib.import_module(module)
        for part in owner:
            place = getattr(place, part)
        setattr(place, attribute, clock.timed(step, getattr(place, attribute)))
    task = app.RankTask(bucket="bench", prefix="runs/", run=run, rank=0)
    app.run_rank(task, app.function, float("inf"))


def _withdraw(app: Any, clock: Clock, run: str) -> None:
    failure = {"rank": 1, "error": "Runtime.ExitError", "cause": "the process was killed"}
    task = app.RankTask(bucket="bench", prefix="runs/", run=run, rank=1, failure=failure)
    withdraw = clock.timed("plan read, rank withdrawn", app.withdraw_rank)
    withdraw(task, app.function, task.failure)


def age_s() -> float:
    """Seconds since the kernel started this process (proc(5), field 22 of stat)."""
    stat = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    started_s = int(stat[19]) / os.sysconf("SC_CLK_TCK")
    return time.clock_gettime(time.CLOCK_BOOTTIME) - started_s


if __name__ == "__main__":
    main()
