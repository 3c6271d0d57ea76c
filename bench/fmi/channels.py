"""`python -m bench.fmi.channels`: the four channels of fmilib side by side, one table."""

from __future__ import annotations

import argparse
import contextlib
import os
import statistics
import sys

from bench.fmi.__main__ import time_text
from bench.fmi.cases import CASES
from bench.fmi.crew import ROOT, Crew, crew, rendezvous
from bench.fmi.stores import store

CHANNELS = ("direct", "local", "redis", "s3")
REPEATS = 3


def main() -> int:
    """Measure every case on every channel, in turn, on one number of ranks."""
    parser = argparse.ArgumentParser(prog="bench.fmi.channels", description=__doc__)
    parser.add_argument("--ranks", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=3, help="blocks of each case and channel")
    options = parser.parse_args()
    print(f"| {options.ranks} ranks | " + " | ".join(CHANNELS) + " |")
    print("|---" * (1 + len(CHANNELS)) + "|")
    with contextlib.ExitStack() as stack:
        crews: dict[str, Crew] = {}
        for name in CHANNELS:
            variables = stack.enter_context(rendezvous() if name == "direct" else store(name))
            variables["FMI_SIZE"] = str(options.ranks)
            ranks = crew("fmilib", options.ranks, variables, sys.executable)
            crews[name] = stack.enter_context(ranks)
        for case in CASES:
            cells = []
            for one in crews.values():
                times = [t for _ in range(options.rounds) for t in one.run(case, REPEATS)]
                cells.append(time_text(statistics.median(times)))
            print(f"| {case.name} | " + " | ".join(cells) + " |", flush=True)
    return 0


if __name__ == "__main__":
    os.chdir(ROOT)
    sys.exit(main())
