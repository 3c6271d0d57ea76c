"""One rank of one library: asks the coordinator what to measure until it hangs up."""

from __future__ import annotations

import json
import os
import socket
import sys
import time

import numpy as np

from bench.fmi.cases import NAMES, Case
from bench.fmi.engines import ENGINES, Engine


def main() -> None:
    """Serve the coordinator whose socket's path is the second argument."""
    name, path = sys.argv[1], sys.argv[2]
    rank = int(os.environ.get("OMPI_COMM_WORLD_RANK") or os.environ["BENCH_RANK"])
    engine = ENGINES[name](rank, int(os.environ["BENCH_SIZE"]))
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(path)
        with sock.makefile("rw") as line:
            _say(line, rank)
            while order := line.readline():
                case = NAMES[json.loads(order)["case"]]
                _say(line, measure(engine, case, json.loads(order)["repeats"]))
    engine.close()


def measure(engine: Engine, case: Case, repeats: int) -> list[list[float]]:
    """Return (start, end) of every repeat; of the whole block if it runs back to back."""
    array = np.zeros(case.count, case.dtype)
    operation = getattr(engine, case.operation)
    operation(array)
    engine.barrier(array)
    if case.back_to_back:
        began = time.monotonic()
        for _ in range(repeats):
            operation(array)
        return [[began, time.monotonic()]]
    times = []
    for _ in range(repeats):
        engine.barrier(array)
        began = time.monotonic()
        operation(array)
        times.append([began, time.monotonic()])
    return times


def _say(line: object, what: object) -> None:
    line.write(json.dumps(what) + "\n")  # type: ignore[attr-defined]
    line.flush()  # type: ignore[attr-defined]


if __name__ == "__main__":
    main()
