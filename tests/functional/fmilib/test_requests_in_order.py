"""Non-blocking messages: what is begun moves in any call, and nobody stops anybody."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import fmilib
from fmilib_support import threads
from fmilib_support.server import Rendezvous

Run = Callable[[int, Callable[[fmilib.Communicator], Any]], list[Any]]
MANY = 1 << 20  # elements of 8 bytes: more than the kernel keeps of a link
WITHIN_S = 20.0


@pytest.fixture
def run(rendezvous: Rendezvous, job: str) -> Run:
    """Return a function that runs a body on so many ranks and returns what each returned."""
    return lambda size, body: threads.values({"rendezvous": rendezvous.address}, job, size, body)


def _poll(done: Callable[[], bool]) -> None:
    until = time.monotonic() + WITHIN_S
    while not done():
        assert time.monotonic() < until, "it is never over"


def test_many_bytes_move_in_test_alone(run: Run) -> None:
    def body(comm: fmilib.Communicator) -> bool:
        request = comm.irecv(0) if comm.rank else comm.isend(np.arange(MANY), 1)
        _poll(request.test)
        assert request.done
        return comm.rank == 0 or bool(np.array_equal(request.wait(), np.arange(MANY)))

    assert run(2, body) == [True, True]


@pytest.mark.parametrize("method", ["isend", "send"])
def test_two_ranks_may_send_each_other_much_and_receive_then(run: Run, method: str) -> None:
    def body(comm: fmilib.Communicator) -> bool:
        other = 1 - comm.rank
        request = getattr(comm, method)(np.full(MANY, comm.rank), other)
        found = comm.recv(other)
        if request is not None:
            request.wait()
        return len(found) == MANY and bool((found == other).all())

    assert run(2, body) == [True, True]


def test_collectives_go_on_beside_what_was_begun(run: Run) -> None:
    def body(comm: fmilib.Communicator) -> int:
        others = [rank for rank in range(comm.size) if rank != comm.rank]
        sent = [comm.isend(np.full(MANY // 2, comm.rank), other, tag=5) for other in others]
        comm.barrier()
        total = int(comm.allreduce(np.ones(MANY // 4))[-1])
        for other in others:
            assert (comm.recv(other, tag=5) == other).all()
        for request in sent:
            request.wait()
        return total

    assert run(4, body) == [4] * 4


def test_a_send_stays_behind_one_of_its_tag_that_was_begun(run: Run) -> None:
    def body(comm: fmilib.Communicator) -> list[int]:
        if comm.rank == 0:
            first = comm.isend(np.full(MANY, 1), 1)
            second = comm.isend(np.full(3, 2), 1)
            comm.send(np.full(4, 3), 1)
            assert first.done or first.test()
            assert second.test()
            return []
        return [int(comm.recv(0)[0]) for _ in range(3)]

    assert run(2, body) == [[], [1, 2, 3]]


def test_receives_get_messages_in_the_order_they_began(run: Run) -> None:
    def body(comm: fmilib.Communicator) -> list[str]:
        if comm.rank == 0:
            for word in ("first", "second", "third", "fourth"):
                comm.send(word, 1)
            return []
        requests = [comm.irecv(0) for _ in range(3)]
        last = requests[2].wait()
        _poll(requests[1].test)
        return [requests[0].wait(), requests[1].wait(), last, comm.recv(0)]

    assert run(2, body)[1] == ["first", "second", "third", "fourth"]


def test_a_probe_finds_a_tag_of_any_rank_and_lets_collectives_be(run: Run) -> None:
    def body(comm: fmilib.Communicator) -> list[tuple[int, Any]]:
        found: list[tuple[int, Any]] = []
        assert comm.iprobe(tag=7) is None
        for _ in range(3):
            comm.barrier()
            if comm.rank:
                comm.send({"from": comm.rank}, 0, tag=7)
                comm.send("noise", 0, tag=8)
            else:
                assert comm.iprobe(tag=9) is None
            assert int(comm.allreduce(np.ones(4))[0]) == comm.size
        while comm.rank == 0 and len(found) < 3 * (comm.size - 1):
            source = comm.iprobe(tag=7)
            if source is not None:
                assert comm.iprobe(source, tag=7) == source
                found.append((source, comm.recv(source, tag=7)))
        comm.barrier()
        return found

    found = run(4, body)[0]
    assert sorted(source for source, _ in found) == [1, 1, 1, 2, 2, 2, 3, 3, 3]
    assert all(message == {"from": source} for source, message in found)


def test_senders_that_are_all_there_take_turns(run: Run) -> None:
    def body(comm: fmilib.Communicator) -> list[int]:
        if comm.rank:
            for _ in range(2):
                comm.send("here", 0)
        comm.barrier()
        order: list[int] = []
        while comm.rank == 0 and len(order) < 2 * (comm.size - 1):
            _poll(lambda: all(comm.iprobe(rank) == rank for rank in {1, 2, 3} - set(order)))
            source = comm.iprobe()
            assert source is not None
            order.append(source)
            comm.recv(source)
        comm.barrier()
        return order

    assert sorted(run(4, body)[0][:3]) == [1, 2, 3]


def test_a_probe_of_a_sub_communicator_sees_its_own_messages_alone(run: Run) -> None:
    def body(comm: fmilib.Communicator) -> bool:
        pair = comm.split(comm.rank % 2, -comm.rank)
        assert pair is not None
        if comm.rank == 0:
            comm.send("outer", 2)
            pair.send("inner", 0)
            return True
        if comm.rank == 2:
            assert comm.recv(0) == "outer"
            _poll(lambda: pair.iprobe() is not None)
            assert (pair.iprobe(), comm.iprobe()) == (1, None)
            return bool(pair.recv(1) == "inner")
        return True

    assert run(4, body) == [True] * 4


def test_messages_to_oneself_are_there_at_once(run: Run) -> None:
    def body(comm: fmilib.Communicator) -> str:
        assert comm.isend("mine", comm.rank, tag=3).test()
        assert comm.iprobe(tag=3) == comm.rank
        request = comm.irecv(comm.rank, tag=3)
        assert request.test()
        assert comm.iprobe(tag=3) is None
        return str(request.wait())

    assert run(1, body) == ["mine"]
    assert run(2, body) == ["mine"] * 2


def test_close_sends_what_was_begun(run: Run) -> None:
    def body(comm: fmilib.Communicator) -> int:
        if comm.rank == 0:
            comm.isend(np.ones(MANY), 1)
            return MANY
        return int(comm.recv(0).sum())

    assert run(2, body) == [MANY, MANY]


def test_bad_ranks_and_tags_are_refused(run: Run) -> None:
    def body(comm: fmilib.Communicator) -> None:
        for attempt in (
            lambda: comm.isend(1, 2),
            lambda: comm.irecv(-1),
            lambda: comm.iprobe(2),
            lambda: comm.iprobe(tag=-1),
        ):
            with pytest.raises(ValueError, match="must be"):
                attempt()

    run(2, body)
