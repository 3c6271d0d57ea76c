"""Processes that are killed: what each channel can know of it, the others learn in time."""

from __future__ import annotations

import multiprocessing
import signal
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest

import fmilib
from fmilib_support.server import DEPLOYMENT_SECRET
from fmilib_support.threads import Crew

from .conftest import Way, running_redis

RESULT_S = 30.0
_CONTEXT = multiprocessing.get_context("forkserver")


def _barriers(rank: int, job: str, options: dict[str, Any], line: Connection) -> None:
    """Do barriers for ever; say the first, and how it ended."""
    secret = fmilib.derive_secret(DEPLOYMENT_SECRET, job)
    try:
        with fmilib.connect(rank, 3, job, secret=secret, **options) as comm:
            comm.barrier()
            line.send("running")
            while True:
                comm.barrier()
    except fmilib.FmiError as error:
        line.send((error, time.monotonic()))


def _killed(way: Way, job: str, timeout_s: float) -> list[tuple[fmilib.FmiError, float]]:
    """Kill rank 1 of three; return the errors of the others and how long they took."""
    options = {**way.options, "timeout_s": timeout_s, "detect_s": 2.0}
    lines, processes = [], []
    for rank in range(3):
        ours, theirs = _CONTEXT.Pipe()
        process = _CONTEXT.Process(target=_barriers, args=(rank, job, options, theirs))
        process.start()
        theirs.close()
        lines.append(ours)
        processes.append(process)
    try:
        for line in lines:
            assert line.poll(RESULT_S)
            assert line.recv() == "running"
        processes[1].kill()
        at = time.monotonic()
        found = []
        for line in (lines[0], lines[2]):
            assert line.poll(RESULT_S), "a rank hangs"
            error, when = line.recv()
            found.append((error, when - at))
        return found
    finally:
        for process, line in zip(processes, lines, strict=True):
            process.kill()
            process.join(RESULT_S)
            assert process.exitcode in (0, -signal.SIGKILL)
            process.close()
            line.close()


def test_a_killed_process_is_noticed_at_once_on_its_own_machine(job: str, tmp_path: Any) -> None:
    way = Way("local", {"channel": "local", "store": str(tmp_path)})
    for error, seconds in _killed(way, job, timeout_s=20.0):
        assert isinstance(error, fmilib.PeerFailed), error
        assert error.rank == 1
        assert seconds < 2.0


def test_a_killed_process_ends_the_waits_of_the_others_at_their_bound(
    job: str, redis_url: str
) -> None:
    way = Way("redis", {"channel": "redis", "store": redis_url})
    found = _killed(way, job, timeout_s=8.0)
    assert any(isinstance(error, fmilib.Timeout) for error, _ in found), found
    assert all(isinstance(error, fmilib.Timeout | fmilib.Aborted) for error, _ in found), found
    assert all(seconds < 12.0 for _, seconds in found), found


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_a_redis_that_dies_or_freezes_ends_the_job_within_the_bound(
    job: str, redis_url: str, tmp_path: Path, number: signal.Signals
) -> None:
    def body(comm: fmilib.Communicator) -> None:
        while True:
            comm.barrier()

    with running_redis(tmp_path) as (url, process):
        options = {"channel": "redis", "store": url, "timeout_s": 8.0, "detect_s": 2.0}
        crew = Crew(options, job, 2)
        for rank in range(2):
            crew.start(rank, body)
        time.sleep(1.0)
        process.send_signal(number)
        found = crew.ends()
    for end in found.values():
        assert isinstance(end.error, fmilib.RendezvousError), end
        assert "redis" in str(end.error)
        assert end.seconds < 20.0
