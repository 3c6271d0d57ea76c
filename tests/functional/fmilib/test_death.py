"""Processes that are killed: what each channel can know of it, the others learn in time."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import fmilib
from fmilib_support.ranks import Ranks
from fmilib_support.threads import Crew

from .conftest import Way, running_redis

DETECT_S, SLACK_S = 3.0, 6.0
Maker = Callable[[int], Ranks]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_a_rank_that_dies_or_freezes_is_told_to_all_others(
    stored: Way, ranks: Maker, number: signal.Signals
) -> None:
    job = ranks(4)
    connect = {**stored.options, "timeout_s": 60.0, "detect_s": DETECT_S}
    job.start("again_and_again", operation="barrier", connect=connect)
    for rank in range(4):
        job.hear(rank, "running")
    since = job.signal(1, number)
    for outcome in job.outcomes([0, 2, 3]):
        assert isinstance(outcome.error, fmilib.PeerFailed), outcome
        assert outcome.error.rank == 1, outcome
        assert outcome.at - since < DETECT_S + SLACK_S, outcome
    if number == signal.SIGSTOP:
        job.signal(1, signal.SIGCONT)
        assert isinstance(job.outcome(1).error, fmilib.FmiError)


def test_a_rank_that_computes_for_long_or_has_left_is_not_lost(stored: Way, ranks: Maker) -> None:
    job = ranks(3)
    connect = {**stored.options, "timeout_s": 60.0, "detect_s": DETECT_S}
    job.start("slow_in_the_middle", seconds=DETECT_S, connect=connect)
    assert job.values() == [3, 3, 3]


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
