"""`python -m bench.soak`: runs in a row in one local stack: does it grow?

Prints what the stack's process holds after each tenth of the runs, and by how much each further run
raised it: the slope of a straight line through all runs but the first fifth, in which modules load
and the functions' processes start. The stack holds in memory what it knows of each object, in all
versions, so how many of them a run leaves is printed too; their bytes are in files.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Callable

from bench.small_stack import Held, SmallStack, held, small_stack
from cosmic.contracts.status import State

ROWS, RANKS, BATCH = 16, 2, 8


COLUMNS: dict[str, Callable[[Held], float]] = {
    "stack MiB": lambda found: found.own_mib,
    "all MiB": lambda found: found.memory_mib,
    "processes": lambda found: found.processes,
    "descriptors": lambda found: found.files,
    "threads": lambda found: found.threads,
}


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="bench.soak", description=__doc__)
    parser.add_argument("--runs", type=int, default=200)
    runs = parser.parse_args().runs
    with small_stack(ROWS, concurrency=8) as small:
        print(f"| runs | {' | '.join(COLUMNS)} |\n|{'---|' * (len(COLUMNS) + 1)}", flush=True)
        settling = [_one(small, number, runs) for number in range(1, runs // 5 + 1)]
        before = small.stored()
        seen = [_one(small, number, runs) for number in range(len(settling) + 1, runs + 1)]
        after = small.stored()
    print(_row("slope a run", [_slope(seen, get) for get in COLUMNS.values()], 3))
    objects = (after.objects - before.objects) / len(seen)
    wrote_mib = (after.mib - before.mib) / len(seen)
    print(f"a run leaves {objects:.1f} objects, in all versions, with {wrote_mib:.3f} MiB")
    return 0


def _one(small: SmallStack, number: int, runs: int) -> Held:
    run, status = small.run(RANKS, BATCH)
    if status.state is not State.SUCCEEDED:
        log = small.stack.logs("AggregateFunction")
        raise SystemExit(f"{log}\n{run.id} is {status.state.value}: {status.problems}")
    now = held(small.stack.info.pid)
    if number % max(1, runs // 10) == 0:
        print(_row(str(number), [get(now) for get in COLUMNS.values()], 0), flush=True)
    return now


def _slope(seen: list[Held], get: Callable[[Held], float]) -> float:
    return statistics.linear_regression(range(len(seen)), [get(found) for found in seen]).slope


def _row(name: str, values: list[float], digits: int) -> str:
    return f"| {name} | {' | '.join(f'{value:.{digits}f}' for value in values)} |"


if __name__ == "__main__":
    sys.exit(main())
