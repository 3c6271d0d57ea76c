"""What every channel must do alike."""

from __future__ import annotations

import threading
import time
from itertools import product
from typing import Any

import numpy as np
import pytest

import fmilib
from fmilib_support.threads import Crew, ends, values

from .collective_cases import CASES
from .conftest import WAITING, Way

Comm = fmilib.Communicator


CHANNELS, SLOW = ("direct", "redis", "local"), "s3"  # the emulator takes 10 ms a request
SIZES = [(channel, 3) for channel in (*CHANNELS, SLOW)]
LATER = [pytest.param(*cell, marks=pytest.mark.long) for cell in product((*CHANNELS, SLOW), (2, 5))]


@pytest.mark.parametrize(("way", "size"), [*SIZES, *LATER], indirect=["way"])
@pytest.mark.parametrize("method", list(CASES))
def test_a_collective_gives_its_closed_form(way: Way, job: str, size: int, method: str) -> None:
    values(way.options, job, size, CASES[method])


def test_messages_of_a_tag_stay_in_order_and_tags_do_not_mix(way: Way, job: str) -> None:
    def body(comm: Comm) -> Any:
        if comm.rank == 0:
            for number in range(10):
                comm.send(("even", number), 1, tag=2)
                comm.Send(np.full(3, number), 1, tag=3)
            return None
        buffer, found = np.empty(3, np.int64), []
        for _ in range(10):
            comm.Recv(buffer, 0, tag=3)
            found.append(int(buffer[0]))
        return found, [comm.recv(0, tag=2) for _ in range(10)]

    _, (odd, even) = values(way.options, job, 2, body)
    assert odd == list(range(10))
    assert even == [("even", number) for number in range(10)]


def test_much_is_exchanged_by_all_at_once(way: Way, job: str) -> None:
    def body(comm: Comm) -> bool:
        for other in range(comm.size):
            comm.send(np.full(200_000, comm.rank), other)
        return all((comm.recv(other) == other).all() for other in range(comm.size))

    assert values(way.options, job, 3, body) == [True] * 3


def test_ranks_in_different_calls_find_out(way: Way, job: str) -> None:
    def body(comm: Comm) -> None:
        comm.barrier()
        if comm.rank == 0:
            comm.allreduce(np.ones(4))
        else:
            comm.allreduce(np.ones(4, np.float32))
        comm.barrier()

    found = ends(way.options, job, 2, body)
    assert all(isinstance(end.error, fmilib.MismatchError) for end in found), found
    assert "<f8" in str(found[0].error)
    assert "<f4" in str(found[0].error)


def test_an_abort_reaches_all_who_wait(way: Way, job: str) -> None:
    def body(comm: Comm) -> None:
        comm.barrier()
        if comm.rank == 1:
            comm.abort("no more money")
        comm.recv((comm.rank + 1) % comm.size)

    found = ends(way.options, job, 3, body)
    for end in found:
        assert isinstance(end.error, fmilib.Aborted), end
        assert (end.error.rank, end.error.reason) == (1, "no more money")
        assert end.seconds < 10


@WAITING
def test_an_abort_reaches_one_who_computes_in_a_call_soon_after(way: Way, job: str) -> None:
    def body(comm: Comm) -> None:
        comm.barrier()
        if comm.rank == 1:
            comm.abort("stop")
        for _ in range(20):
            time.sleep(0.5)
            comm.send(1, 1 - comm.rank)

    for end in ends({**way.options, "detect_s": 4.0}, job, 2, body):
        assert isinstance(end.error, fmilib.Aborted), end


def test_an_exception_in_one_rank_stops_all(way: Way, job: str) -> None:
    def body(comm: Comm) -> None:
        comm.barrier()
        if comm.rank == 0:
            raise ValueError("my own fault")
        comm.barrier()

    first, second = ends(way.options, job, 2, body)
    assert isinstance(first.error, ValueError)
    assert isinstance(second.error, fmilib.Aborted)
    assert "my own fault" in str(second.error)


@WAITING
def test_a_wait_ends_at_its_bound_and_names_whom_it_was_for(way: Way, job: str) -> None:
    def body(comm: Comm) -> Any:
        comm.barrier()
        if comm.rank == 2:
            time.sleep(12.0)
            return None
        began = time.monotonic()
        try:
            comm.recv(2)
        except fmilib.Timeout as error:
            return error.waiting_for, time.monotonic() - began
        except fmilib.Aborted as error:
            return (error.rank,), time.monotonic() - began

    found = values({**way.options, "timeout_s": 8.0, "detect_s": 1.0}, job, 3, body)
    assert (2,) in [found[0][0], found[1][0]]
    assert all(seconds < 12.0 for _, seconds in found[:2])


@WAITING
def test_a_deadline_ends_a_wait_early_and_cleanly(way: Way, job: str) -> None:
    def body(comm: Comm) -> None:
        comm.recv(1 - comm.rank)

    found = ends({**way.options, "remaining_s": 10.0, "reserve_s": 1.0}, job, 2, body)
    for end in found:
        assert isinstance(end.error, fmilib.Aborted), end
        assert end.seconds < 10.0


@WAITING
def test_missing_ranks_are_named_within_the_bound(way: Way, job: str) -> None:
    crew = Crew({**way.options, "timeout_s": 10.0}, job, 3)
    crew.start(0, Comm.barrier)
    crew.start(1, Comm.barrier, timeout_s=15.0)  # still there when rank 0 gives up
    found = crew.ends()
    assert isinstance(found["0"].error, fmilib.Timeout)
    assert found["0"].error.waiting_for == (2,)
    assert isinstance(found["1"].error, fmilib.FmiError)
    assert all(end.seconds < 20 for end in found.values())


@WAITING
def test_ranks_that_disagree_on_the_size_find_out(way: Way, job: str) -> None:
    crew = Crew({**way.options, "timeout_s": 12.0}, job, 2)
    crew.start(0, Comm.barrier)
    other = Crew({**way.options, "timeout_s": 12.0}, job, 3)
    other.start(1, Comm.barrier)
    found = {**crew.ends(), **other.ends()}
    assert any(isinstance(end.error, fmilib.MismatchError) for end in found.values()), found
    assert all(isinstance(end.error, fmilib.FmiError) for end in found.values()), found


def test_two_jobs_run_side_by_side(way: Way, job: str) -> None:
    def body(add: int) -> Any:
        return lambda comm: [comm.allreduce(comm.rank + add + step) for step in range(10)]

    one, two = Crew(way.options, job, 3), Crew(way.options, f"{job}-b", 3)
    for rank in range(3):
        one.start(rank, body(0))
        two.start(rank, body(1000))
    for crew, add in ((one, 0), (two, 1000)):
        for end in crew.ends().values():
            assert end.value == [3 + 3 * (add + step) for step in range(10)], end.error


def test_a_fast_rank_may_leave_early(way: Way, job: str) -> None:
    def body(comm: Comm) -> Any:
        if comm.rank == 0:
            comm.send("for later", 1)
            return comm.bcast("all")
        time.sleep(0.5)
        return comm.recv(0) if comm.rank == 1 else None, comm.bcast()

    assert values(way.options, job, 3, body) == ["all", ("for later", "all"), (None, "all")]


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    "way", [*CHANNELS, pytest.param(SLOW, marks=pytest.mark.long)], indirect=True
)
def test_more_than_a_thousand_messages_wait_and_arrive(way: Way, job: str) -> None:
    count = 1050

    def body(comm: Comm) -> Any:
        if comm.rank == 0:
            for number in range(count):
                comm.send(number, 1, tag=7)
        comm.barrier()
        return [comm.recv(0, tag=7) for _ in range(count)] if comm.rank else None

    patient = {**way.options, "timeout_s": 250.0}
    assert values(patient, job, 2, body)[1] == list(range(count))


def test_a_newer_attempt_takes_the_place_of_one_that_waits(way: Way, job: str) -> None:
    crew = Crew(way.options, job, 2)
    crew.start(1, Comm.barrier, name="old")
    time.sleep(0.5)
    crew.start(1, lambda comm: comm.allreduce(1), name="new", generation=1)
    time.sleep(0.5)
    crew.start(0, lambda comm: comm.allreduce(1))
    found = crew.ends()
    assert (found["new"].value, found["0"].value) == (2, 2), found
    assert isinstance(found["old"].error, fmilib.StaleGeneration), found


@WAITING
def test_a_newer_attempt_fences_one_that_is_in_the_job(way: Way, job: str) -> None:
    crew = Crew({**way.options, "timeout_s": 20.0}, job, 2)
    formed = threading.Barrier(3)

    def waits(comm: Comm) -> Any:
        comm.barrier()
        formed.wait(30)
        return comm.recv(1 - comm.rank)

    for rank in range(2):
        crew.start(rank, waits)
    formed.wait(30)
    crew.start(1, Comm.barrier, name="new", generation=1, timeout_s=8.0)
    found = crew.ends()
    assert isinstance(found["1"].error, fmilib.StaleGeneration | fmilib.PeerFailed), found
    assert "generation 1" in str(found["1"].error)
    assert isinstance(found["0"].error, fmilib.PeerFailed), found
    assert found["0"].error.rank == 1
    assert isinstance(found["new"].error, fmilib.FmiError), found
