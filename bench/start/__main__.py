"""`python -m bench.start`: the cold start of each function, step by step and by package.

A fresh process does what the runtime's does: it imports the handler; `infer` then runs a rank over
a 25 MB partition from a server that gives 75 MB/s. Another one withdraws a rank, as the state
machine's `TellOthers` does, at a rendezvous on this machine. The import table is of yet another,
under `-X importtime`, which slows imports down: its shares count.

With `--base COMMIT`, a cold rank of `infer` up to its first redshifts instead, there and here side
by side, with the model downloaded and with the model in the function's image.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from bench.balance.__main__ import SECRET, rendezvous
from bench.start.beside import print_beside
from bench.stream.__main__ import FAST, LATENCY_MS
from bench.stream.inputs import fill
from bench.stream.stage import BUCKET, ROOT, plan_for, serving

FUNCTIONS = ("init", "infer", "aggregate")
PARTITION_MB, BATCH_SIZE = 25, 64
KEY = f"{PARTITION_MB}.safetensors"
LARGEST = 8
SETTINGS = {
    "COSMIC_STATE_MACHINE_ARN": "arn:aws:states:us-east-1:123456789012:stateMachine:bench",
    "COSMIC_INFER_MEMORY_MB": "1769",
    "COSMIC_INFER_FUNCTION": "infer",
    "COSMIC_MAX_WORLD_SIZE": "8",
    "POWERTOOLS_METRICS_NAMESPACE": "bench",
}


def main() -> None:
    """Measure and print two tables."""
    parser = argparse.ArgumentParser(prog="bench.start", description=__doc__)
    parser.add_argument("--model", choices=["tiny", "full"], default="full")
    parser.add_argument("--rounds", type=int, default=3, help="processes of which medians count")
    parser.add_argument("--base", help="an earlier commit: both side by side, `infer` alone")
    options = parser.parse_args()
    with TemporaryDirectory() as scratch:
        fill(Path(scratch), [PARTITION_MB], "safetensors")
        with serving(Path(scratch), FAST, LATENCY_MS) as environment, rendezvous(scratch) as meet:
            os.environ.update(environment | SETTINGS)
            if options.base:
                model = Path(scratch) / BUCKET / options.model
                print_beside(options.base, options.rounds, KEY, model, BATCH_SIZE, Path(scratch))
                return
            os.environ.update({"FMI_RENDEZVOUS": meet, "FMI_DEPLOYMENT_SECRET": SECRET})
            planned = (KEY, options.model, BATCH_SIZE)
            alone, together = (plan_for(*planned, *how)[1].run for how in ((), (2, "direct")))
            print_steps([_steps(alone, together) for _ in range(options.rounds)])
    print_imports()


def _child(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)


def _steps(alone: str, together: str) -> list[dict[str, Any]]:
    """Of the functions, one process each, and of one that withdraws a rank of a run of two."""
    found: list[dict[str, Any]] = []
    for words in (*((function, alone) for function in FUNCTIONS), ("infer", together, "withdraw")):
        output = _child("-m", "bench.start.child", *words).stdout
        found += json.loads(output.splitlines()[-1])
    return found


def print_steps(rounds: list[list[dict[str, Any]]]) -> None:
    """Each step with medians: its duration, and at its end the process's age and processor time."""
    print("| function | step | duration s | process age s | its processor time s |")
    print("|---" * 5 + "|")
    for same in zip(*rounds, strict=True):
        took, age, cpu = (median(one[key] for one in same) for key in ("took_s", "age_s", "cpu_s"))
        step = f"{same[0]['function']} | {same[0]['step']}"
        print(f"| {step} | {took:.3f} | {age:.2f} | {cpu:.2f} |")


def print_imports() -> None:
    """The packages that take longest to import, by the time spent in their own modules."""
    print("\n| function | imports s | of which, in their own modules |")
    print("|---" * 3 + "|")
    for function in FUNCTIONS:
        lines = _child("-X", "importtime", "-m", "bench.start.child", function).stderr.splitlines()
        own = _by_package([line for line in lines if line.startswith("import time:")][1:])
        first = sorted(own, key=lambda name: own[name], reverse=True)[:LARGEST]
        shown = ", ".join(f"{name} {own[name] / 1e6:.2f}" for name in first)
        print(f"| {function} | {sum(own.values()) / 1e6:.2f} | {shown} |")


def _by_package(lines: list[str]) -> dict[str, int]:
    """Microseconds by top-level package, of the lines that `-X importtime` prints."""
    own: dict[str, int] = defaultdict(int)
    for line in lines:
        spent, _, module = line.removeprefix("import time:").split("|")
        package = module.strip().partition(".")[0]
        own["Python" if package in sys.stdlib_module_names else package] += int(spent)
    return own


if __name__ == "__main__":
    main()
