"""Begun messages and probes over each channel."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

import fmilib
from fmilib_support import threads

from .conftest import WAITING, Way


def _poll(comm: fmilib.Communicator, tag: int) -> int:
    until = time.monotonic() + 20.0
    while (source := comm.iprobe(tag=tag)) is None:
        assert time.monotonic() < until, "no message comes"
    return source


def _around(comm: fmilib.Communicator) -> list[Any]:
    right, left = (comm.rank + 1) % comm.size, (comm.rank - 1) % comm.size
    assert comm.iprobe(tag=1) is None
    comm.barrier()
    begun = comm.irecv(left, tag=2)
    sent = comm.isend(np.full(300_000, comm.rank), right, tag=2)
    comm.send("small", right, tag=1)
    total = comm.allreduce(1)
    source = _poll(comm, tag=1)
    found = [source, comm.recv(source, tag=1), total]
    while not (begun.test() and sent.test()):
        pass
    return [*found, int(begun.wait()[-1])]


def test_what_is_begun_ends_and_a_probe_finds_it(way: Way, job: str) -> None:
    found = threads.values(way.options, job, 3, _around)
    assert found == [[(rank - 1) % 3, "small", 3, (rank - 1) % 3] for rank in range(3)]


def test_a_probe_is_told_that_the_job_has_failed(way: Way, job: str) -> None:
    def body(comm: fmilib.Communicator) -> None:
        comm.barrier()
        if comm.rank == 1:
            comm.abort("enough")
        _poll(comm, tag=1)

    for end in threads.ends(way.options, job, 2, body):
        assert isinstance(end.error, fmilib.Aborted), end


@WAITING
def test_a_probe_ends_with_its_ranks_deadline(way: Way, job: str) -> None:
    def body(comm: fmilib.Communicator) -> None:
        comm.barrier()
        _poll(comm, tag=1)

    crew = threads.Crew(way.options, job, 2)
    crew.start(0, body, remaining_s=5.0)
    crew.start(1, body)
    for end in crew.ends().values():
        assert isinstance(end.error, fmilib.Aborted), end
