"""`first.py plan KEY MODEL BATCH` or `first.py rank RUN`: a cold rank up to its first redshifts.

It runs in a work tree of any commit, and so uses only what all of them have: the handler's module
with its `run_rank`, and `Engine.redshifts` (in older ones `Engine.predict`). `rank` prints what the
process had taken when the first batch had its redshifts, and the processor time of each stage until
then, and ends there. Standard library only until the handler is imported.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import sys
import time
from functools import wraps
from pathlib import Path
from typing import Any

BUCKET, FOLDER = "bench", "runs/"


stages: dict[str, float] = {}  # processor seconds, in their order


def main() -> None:
    """Plan a run, or start its only rank."""
    what, *words = sys.argv[1:]
    if what == "plan":
        key, model, batch = words
        stage = importlib.import_module("bench.stream.stage")
        print(stage.plan_for(key, model, int(batch))[1].run)
    else:
        start(words[0])


def start(run: str) -> None:
    """Import the handler as the runtime does, and run rank 0 up to its first redshifts."""
    ended("interpreter")
    importlib.import_module("awslambdaric.bootstrap")
    ended("runtime client imported")
    sys.path.insert(0, str(Path.cwd() / "functions/infer"))
    app: Any = importlib.import_module("app")
    ended("handler imported, clients made")
    engine = engine_class()
    name = "redshifts" if hasattr(engine, "redshifts") else "predict"
    make, predict = engine.__init__, getattr(engine, name)

    @wraps(make)
    def made(*args: Any, **named: Any) -> None:
        ended("plan read, library imported, model there")
        make(*args, **named)
        ended("model compiled")

    @wraps(predict)
    def first(*args: Any, **named: Any) -> Any:
        ended("warm-up, first rows there")
        predict(*args, **named)
        ended("first batch")
        print(json.dumps(taken() | {"stages": stages}), flush=True)
        os._exit(0)  # the rest of the rank is no part of its start

    engine.__init__ = made
    setattr(engine, name, first)
    task = app.RankTask(bucket=BUCKET, prefix=FOLDER, run=run, rank=0)
    app.run_rank(task, app.function, float("inf"))
    raise SystemExit("the rank ended without a batch")


def ended(stage: str) -> None:
    """Note what a stage took of the processor, all threads together."""
    stages[stage] = time.process_time() - sum(stages.values())


def engine_class() -> Any:
    """`Engine`, wherever this commit has it; the handler has imported its package."""
    package = "cosmic.model" if importlib.util.find_spec("cosmic.model") else "cosmic.inference"
    return importlib.import_module(f"{package}.engine").Engine


def taken() -> dict[str, float]:
    """Processor seconds of all threads, the process's age, and its largest resident size."""
    fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    started_s = int(fields[19]) / os.sysconf("SC_CLK_TCK")  # proc(5): field 22, clock ticks
    status = Path("/proc/self/status").read_text()
    peak_kib = int(status.partition("VmHWM:")[2].split()[0])
    return {
        "cpu_s": time.process_time(),
        "age_s": time.clock_gettime(time.CLOCK_BOOTTIME) - started_s,
        "peak_mib": peak_kib / 1024,
    }


if __name__ == "__main__":
    main()
