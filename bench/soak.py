"""`python -m bench.soak`: runs in a row in one local stack: does it grow?

Prints what the stack's process holds after each tenth of the runs, and by how much each further run
raised it: the slope of a straight line through all runs but the first fifth, in which modules load
and the functions' processes start. The stack holds its bucket in memory, with all versions: what
the runs wrote is in a column of its own.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Callable
from dataclasses import dataclass

from bench.small_stack import Held, SmallStack, held, small_stack
from cosmic.contracts.status import State

ROWS, RANKS, BATCH = 16, 2, 8


@dataclass(frozen=True)
class Seen:
    """What the stack held after a run, and its bucket's versions in MiB."""

    held: Held
    bucket_mib: float


COLUMNS: dict[str, Callable[[Seen], float]] = {
    "stack MiB": lambda found: found.held.own_mib,
    "bucket MiB": lambda found: found.bucket_mib,
    "without it": lambda found: found.held.own_mib - found.bucket_mib,
    "all MiB": lambda found: found.held.memory_mib,
    "processes": lambda found: found.held.processes,
    "descriptors": lambda found: found.held.files,
    "threads": lambda found: found.held.threads,
}


def main() -> int:
    """Measure and print; 1 if a run is not whole."""
    parser = argparse.ArgumentParser(prog="bench.soak", description=__doc__)
    parser.add_argument("--runs", type=int, default=200)
    options = parser.parse_args()
    with small_stack(ROWS, concurrency=8) as small:
        print(f"| runs | {' | '.join(COLUMNS)} |\n|{'---|' * (len(COLUMNS) + 1)}", flush=True)
        seen = [_one(small, number, options.runs) for number in range(1, options.runs + 1)]
    settled = seen[len(seen) // 5 :]
    print(_row("slope a run", [_slope(settled, get) for get in COLUMNS.values()], 3))
    return 0


def _one(small: SmallStack, number: int, runs: int) -> Seen:
    run, status = small.run(RANKS, BATCH)
    if status.state is not State.SUCCEEDED:
        log = small.stack.logs("AggregateFunction")
        raise SystemExit(f"{log}\n{run.id} is {status.state.value}: {status.problems}")
    now = Seen(held(small.stack.info.pid), small.stored_mib())
    if number % max(1, runs // 10) == 0:
        print(_row(str(number), [get(now) for get in COLUMNS.values()], 0), flush=True)
    return now


def _slope(seen: list[Seen], get: Callable[[Seen], float]) -> float:
    return statistics.linear_regression(range(len(seen)), [get(found) for found in seen]).slope


def _row(name: str, values: list[float], digits: int) -> str:
    return f"| {name} | {' | '.join(f'{value:.{digits}f}' for value in values)} |"


if __name__ == "__main__":
    sys.exit(main())
