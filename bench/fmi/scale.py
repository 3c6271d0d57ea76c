"""`python -m bench.fmi.scale`: a thousand ranks on one machine, twice in a row.

Each rank is a process forked from this one, with at most 1,024 descriptors, as AWS Lambda
gives. Each does a barrier, an allreduce and a gather, and checks the numbers.
"""

from __future__ import annotations

import argparse
import os
import resource
import select
import struct
import sys
import time
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

import fmilib
from bench.fmi.crew import rendezvous

DESCRIPTORS = 1024
TIMEOUT_S, DETECT_S = 300.0, 120.0
_REPORT = struct.Struct("<iiiddd")


class Report(NamedTuple):
    """What one rank says at its end.

    Attributes:
        rank: which.
        links: that it made.
        descriptors: open when it had done everything.
        formed_s: seconds until all ranks were there.
        first_s: seconds of the first barrier, the making of its links included.
        rest_s: seconds of a second barrier, an allreduce and a gather.
    """

    rank: int
    links: int
    descriptors: int
    formed_s: float
    first_s: float
    rest_s: float


def main() -> int:
    """Run the job as often as asked; exit with 1 if a rank is missing."""
    options = _options()
    _raise_own_limit(4 * options.ranks)
    with rendezvous() as variables:
        os.environ.update(variables)
        for number in range(options.times):
            began = time.monotonic()
            life = _reporting if options.report else _collectives
            reports = run(options.ranks, variables["FMI_JOB"], TIMEOUT_S, life)
            print(_line(number, options.ranks, reports, time.monotonic() - began), flush=True)
            if len(reports) != options.ranks:
                return 1
    return 0


def run(
    size: int, job: str, within_s: float, work: Callable[[fmilib.Communicator], None] | None = None
) -> list[Report]:
    """Fork `size` ranks and return the reports of those that did everything right."""
    ear, mouth = os.pipe()
    children = [
        _fork(partial(_rank, rank, size, job, mouth, work or _collectives)) for rank in range(size)
    ]
    os.close(mouth)
    try:
        return _listen(ear, size, time.monotonic() + within_s)
    finally:
        os.close(ear)
        for child in children:
            os.waitpid(child, 0)


def _fork(life: Callable[[], None]) -> int:
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        life()
        code = 0
    except (fmilib.FmiError, OSError, AssertionError):
        traceback.print_exc()
    finally:
        os._exit(code)


def _listen(ear: int, size: int, until: float) -> list[Report]:
    raw = b""
    while len(raw) < size * _REPORT.size:
        ready, _, _ = select.select([ear], [], [], max(0.0, until - time.monotonic()))
        piece = os.read(ear, 1 << 16) if ready else b""
        if not piece:
            break
        raw += piece
    return [Report(*fields) for fields in _REPORT.iter_unpack(raw)]


def _rank(
    rank: int, size: int, job: str, mouth: int, work: Callable[[fmilib.Communicator], None]
) -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (DESCRIPTORS, DESCRIPTORS))
    began = time.monotonic()
    with fmilib.connect(rank, size, job, timeout_s=TIMEOUT_S, detect_s=DETECT_S) as comm:
        formed = time.monotonic()
        comm.barrier()
        linked = time.monotonic()
        work(comm)
        done = time.monotonic()
        descriptors = sum(1 for _ in Path("/proc/self/fd").iterdir())
        report = Report(
            rank, comm.stats().links, descriptors, formed - began, linked - formed, done - linked
        )
        comm.barrier()
    os.write(mouth, _REPORT.pack(*report))


def _collectives(comm: fmilib.Communicator) -> None:
    comm.barrier()
    total = comm.allreduce(np.full(8, comm.rank + 1.0))
    assert (total == comm.size * (comm.size + 1) / 2).all()
    found = comm.gather(np.full(16, comm.rank))
    assert found is None or [int(one[0]) for one in found] == list(range(comm.size))


def _reporting(comm: fmilib.Communicator) -> None:
    found = comm.gather(comm.rank, missing="report", deadline=TIMEOUT_S)
    assert found is None or (found.values, found.missing) == (list(range(comm.size)), {})


def _raise_own_limit(need: int) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < need:
        room = need if hard == resource.RLIM_INFINITY else min(need, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (room, hard))


def _line(number: int, size: int, reports: list[Report], took_s: float) -> str:
    if not reports:
        return f"run {number + 1}: none of {size} ranks"
    most = Report(*(max(column) for column in zip(*reports, strict=True)))
    return (
        f"run {number + 1}: {len(reports)} of {size} ranks; formed within {most.formed_s:.1f} s, "
        f"first barrier with its links {most.first_s:.1f} s, the rest "
        f"{most.rest_s:.2f} s; at most {most.links} links and {most.descriptors} descriptors per "
        f"rank; {took_s:.1f} s in total"
    )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench.fmi.scale", description=__doc__)
    parser.add_argument("--ranks", type=int, default=1000)
    parser.add_argument("--times", type=int, default=2)
    parser.add_argument(
        "--report", action="store_true", help="gather what there is, straight to the root, instead"
    )
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
