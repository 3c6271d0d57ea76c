"""`python -m bench.fmi`: measure the libraries in turn and print one table."""

from __future__ import annotations

import argparse
import contextlib
import math
import os
import socket
import statistics
import sys
from pathlib import Path

from bench.earlier import checked_out
from bench.fmi import limit
from bench.fmi.cases import CASES, Case
from bench.fmi.crew import ROOT, Crew, crew, mpiexec, rendezvous
from bench.fmi.engines import ENGINES, Fmilib

MPI_PYTHON = str(ROOT / ".venv-bench/bin/python")
MIN_REPEATS = 2
BASE_BOUND = 1.03  # no operation may take longer than at the earlier commit, noise aside


def main() -> int:
    """Measure what the arguments ask for."""
    options = _options()
    print(f"one byte over a plain socket, one way: {limit.ping_pong_us():.1f} µs; "
          f"bandwidth: {limit.bandwidth_gbs():.2f} GB/s\n")  # fmt: skip
    with contextlib.ExitStack() as stack:
        pythons = {"fmilib": sys.executable}
        if options.base:
            pythons[options.base] = str(stack.enter_context(checked_out(options.base))[1])
        if mpiexec() and Path(options.mpi_python).exists():
            pythons["Open MPI"] = options.mpi_python
        if options.gloo:
            pythons["gloo"] = sys.executable
        rivals = list(pythons)[1:]
        print("| ranks | operation | fmilib | " + "".join(f"{one} | ratio | " for one in rivals))
        print("|---" * (3 + 2 * len(rivals)) + "|")
        cases = [case for case in CASES if not options.only or options.only in case.name]
        for size in options.ranks:
            _measure(size, pythons, cases, options.rounds)
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench.fmi", description=__doc__)
    parser.add_argument("--ranks", type=int, nargs="+", default=[2, 4, 8])
    parser.add_argument("--rounds", type=int, default=7, help="blocks of each case and library")
    parser.add_argument("--only", default="", help="cases whose name has this in it")
    parser.add_argument("--mpi-python", default=MPI_PYTHON, help="interpreter that has mpi4py")
    parser.add_argument("--no-gloo", dest="gloo", action="store_false")
    parser.add_argument("--base", metavar="COMMIT", help="fmilib at an earlier commit beside it")
    return parser.parse_args()


def _measure(size: int, pythons: dict[str, str], cases: list[Case], rounds: int) -> None:
    with contextlib.ExitStack() as stack:
        crews = {}
        for name, python in pythons.items():
            variables = stack.enter_context(rendezvous(python)) if _ours(name) else {}
            variables |= {"FMI_SIZE": str(size), "BENCH_GLOO": f"127.0.0.1:{_free_port()}"}
            library = "fmilib" if _ours(name) else name
            crews[name] = stack.enter_context(crew(library, size, variables, python))
        for case in cases:
            print(_row(size, case, _in_turn(crews, case, size, rounds)), flush=True)


def _ours(name: str) -> bool:
    """Return whether a column is fmilib's: of this tree, or of an earlier commit."""
    return ENGINES.get(name, Fmilib) is Fmilib


def _in_turn(crews: dict[str, Crew], case: Case, size: int, rounds: int) -> dict[str, list[float]]:
    times: dict[str, list[float]] = {name: [] for name in crews}
    repeats = max(MIN_REPEATS, 2 * case.repeats // size)
    for _ in range(rounds):
        for name, one in crews.items():
            if hasattr(ENGINES.get(name, Fmilib), case.operation):
                times[name] += one.run(case, repeats)
    return times


def _row(size: int, case: Case, times: dict[str, list[float]]) -> str:
    ours = statistics.median(times.pop("fmilib"))
    bounds = dict(zip(("Open MPI", "gloo"), case.bounds or (math.inf, math.inf), strict=True))
    cells = [str(size), case.name, time_text(ours)]
    for name, found in times.items():
        if not found:
            cells += ["", ""]
            continue
        ratio = ours / statistics.median(found)
        mark = "" if ratio <= bounds.get(name, BASE_BOUND) else " ✗"
        cells += [time_text(statistics.median(found)), f"{ratio:.2f}{mark}"]
    return "| " + " | ".join(cells) + " |"


def time_text(seconds: float) -> str:
    """Return a time in microseconds or milliseconds."""
    if seconds >= 1e-3:
        return f"{seconds * 1e3:.2f} ms"
    return f"{seconds * 1e6:.1f} µs" if seconds < 1e-4 else f"{seconds * 1e6:.0f} µs"


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return int(sock.getsockname()[1])


if __name__ == "__main__":
    os.chdir(ROOT)
    sys.exit(main())
