"""The rendezvous dies, freezes or restarts: a formed job goes on, and failures still surface."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator

import pytest

import fmilib
from fmilib_support.ranks import Ranks
from fmilib_support.server import Rendezvous

Maker = Callable[[int], Ranks]
DETECT_S = 3.0
SLACK_S = 2.0


@pytest.fixture
def own_ranks(own_rendezvous: Rendezvous, job: str) -> Iterator[Maker]:
    made: list[Ranks] = []

    def make(size: int) -> Ranks:
        made.append(Ranks(own_rendezvous, job, size))
        return made[-1]

    yield make
    for one in made:
        one.close()


def test_a_formed_job_outlives_the_rendezvous(own_rendezvous: Rendezvous, own_ranks: Maker) -> None:
    job = own_ranks(4)
    job.start("rounds")
    for rank in range(4):
        job.hear(rank, "halfway")
    own_rendezvous.kill()
    for rank in range(4):
        job.tell(rank, "go on")
    assert job.values() == [4, 4, 4, 4]


@pytest.mark.parametrize("operation", ["barrier", "large allreduce"])
def test_a_loss_after_the_rendezvous_died_still_reaches_all(
    own_rendezvous: Rendezvous, own_ranks: Maker, operation: str
) -> None:
    # Without a rendezvous a rank may name the neighbour through which it learnt of the loss.
    job = own_ranks(5)
    job.start("again_and_again", operation=operation, connect={"detect_s": DETECT_S})
    for rank in range(5):
        job.hear(rank, "running")
    own_rendezvous.kill()
    since = job.signal(3, signal.SIGKILL)
    for outcome in job.outcomes([0, 1, 2, 4]):
        assert isinstance(outcome.error, fmilib.PeerFailed), outcome
        assert outcome.error.rank == 3 or "connection" in outcome.error.cause, outcome
        assert outcome.at - since < DETECT_S + SLACK_S


def test_ranks_register_again_after_a_restart(own_rendezvous: Rendezvous, own_ranks: Maker) -> None:
    job = own_ranks(3)
    job.start("again_and_again", operation="barrier", connect={"detect_s": DETECT_S})
    for rank in range(3):
        job.hear(rank, "running")
    own_rendezvous.kill()
    own_rendezvous.start()
    own_rendezvous.wait_for_ranks(3)
    since = job.signal(2, signal.SIGSTOP)
    for outcome in job.outcomes([0, 1]):
        assert isinstance(outcome.error, fmilib.PeerFailed), outcome
        assert outcome.error.rank == 2
        assert outcome.at - since < DETECT_S + SLACK_S


@pytest.mark.parametrize("frozen", [0, 2])
def test_a_rank_frozen_after_the_rendezvous_died_is_noticed(
    own_rendezvous: Rendezvous, own_ranks: Maker, frozen: int
) -> None:
    job = own_ranks(4)
    job.start("again_and_again", operation="barrier", connect={"detect_s": DETECT_S})
    for rank in range(4):
        job.hear(rank, "running")
    own_rendezvous.kill()
    since = job.signal(frozen, signal.SIGSTOP)
    for outcome in job.outcomes([rank for rank in range(4) if rank != frozen]):
        assert isinstance(outcome.error, fmilib.PeerFailed), outcome
        assert outcome.error.rank == frozen
        assert outcome.at - since < DETECT_S + SLACK_S


def test_a_rank_frozen_before_it_registers_again_is_noticed(
    own_rendezvous: Rendezvous, own_ranks: Maker
) -> None:
    job = own_ranks(3)
    job.start("again_and_again", operation="barrier", connect={"detect_s": DETECT_S})
    for rank in range(3):
        job.hear(rank, "running")
    since = job.signal(1, signal.SIGSTOP)
    own_rendezvous.kill()
    own_rendezvous.start()
    for outcome in job.outcomes([0, 2]):
        assert isinstance(outcome.error, fmilib.PeerFailed), outcome
        assert outcome.error.rank == 1
        assert outcome.at - since < DETECT_S + SLACK_S


def test_a_rendezvous_that_stood_still_blames_nobody(
    own_rendezvous: Rendezvous, own_ranks: Maker
) -> None:
    job = own_ranks(3)
    job.start("rounds", connect={"detect_s": 2.0})
    for rank in range(3):
        job.hear(rank, "halfway")
    os.kill(own_rendezvous.pid, signal.SIGSTOP)
    signal.sigtimedwait([], 2.5)
    os.kill(own_rendezvous.pid, signal.SIGCONT)
    for rank in range(3):
        job.tell(rank, "go on")
    assert job.values() == [3, 3, 3]
