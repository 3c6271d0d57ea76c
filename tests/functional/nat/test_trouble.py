"""Networks that break: cut, silent, lossy and slow ones; every wait ends at its bound."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from typing import Any

import pytest

import fmilib

DETECT_S = 5.0
SLACK_S = 8.0
MakeWorld = Callable[..., Any]


def running(world: Any, size: int, operation: str = "barrier") -> None:
    world.start("again_and_again", operation=operation, connect={"detect_s": DETECT_S})
    for rank in range(size):
        world.ranks.hear(rank, "running")


def all_told(world: Any, ranks: list[int], since: float, bound_s: float = DETECT_S) -> None:
    for outcome in world.ranks.outcomes(ranks):
        assert isinstance(outcome.error, fmilib.PeerFailed), outcome
        assert outcome.at - since < bound_s + SLACK_S


@pytest.mark.parametrize("operation", ["barrier", "large allreduce"])
def test_a_cut_between_two_networks_is_noticed_though_both_reach_the_rendezvous(
    make_world: MakeWorld, operation: str
) -> None:
    world = make_world(["l1", "r1", "l2"])
    running(world, 3, operation)
    world.lab.part()
    all_told(world, [0, 1, 2], time.monotonic())


def test_a_cut_is_noticed_though_no_rank_sends_anything(make_world: MakeWorld) -> None:
    world = make_world(["l1", "r1"])
    world.start("wait_for_each_other", connect={"detect_s": DETECT_S, "timeout_s": 60.0})
    for rank in range(2):
        world.ranks.hear(rank, "running")
    world.lab.part()
    all_told(world, [0, 1], time.monotonic())


@pytest.mark.parametrize("silent", ["l1", "r1"])
def test_a_silent_host_fails_all_and_itself(make_world: MakeWorld, silent: str) -> None:
    world = make_world(["l1", "r1", "l2"])
    running(world, 3)
    world.lab.silence(silent)
    all_told(world, [0, 1, 2], time.monotonic(), 2 * DETECT_S)


def test_a_job_outlives_a_silent_rendezvous(make_world: MakeWorld) -> None:
    world = make_world(["l1", "r1", "l2"])
    world.start("rounds", connect={"detect_s": 2.0})
    for rank in range(3):
        world.ranks.hear(rank, "halfway")
    world.lab.silence("meet")
    signal.sigtimedwait([], 4.0)
    for rank in range(3):
        world.ranks.tell(rank, "go on")
    assert world.ranks.values() == [3, 3, 3]


def test_a_frozen_rank_is_noticed_though_the_rendezvous_is_silent(make_world: MakeWorld) -> None:
    world = make_world(["l1", "l2", "l1"])
    running(world, 3)
    world.lab.silence("meet")
    since = world.ranks.signal(1, signal.SIGSTOP)
    all_told(world, [0, 2], since, 2 * DETECT_S)


def test_a_punched_job_outlives_a_restart_of_the_rendezvous(make_world: MakeWorld) -> None:
    world = make_world(["l1", "r1", "l2"])
    world.start("rounds", connect={"detect_s": 2.0})
    for rank in range(3):
        world.ranks.hear(rank, "halfway")
    world.rendezvous.kill()
    world.rendezvous.start()
    signal.sigtimedwait([], 2.0)
    for rank in range(3):
        world.ranks.tell(rank, "go on")
    assert world.ranks.values() == [3, 3, 3]


def test_a_relayed_job_ends_with_its_rendezvous(make_world: MakeWorld) -> None:
    world = make_world(["l1", "r1"], left="symmetric")
    running(world, 2)
    world.rendezvous.kill()
    all_told(world, [0, 1], time.monotonic())


def test_a_killed_rank_is_noticed_through_the_relay(make_world: MakeWorld) -> None:
    world = make_world(["l1", "r1", "l2"], left="symmetric", right="symmetric")
    running(world, 3, "large allreduce")
    since = world.ranks.signal(1, signal.SIGKILL)
    all_told(world, [0, 2], since)


@pytest.mark.parametrize("right", ["keeping", pytest.param("symmetric", marks=pytest.mark.long)])
def test_lossy_networks_give_right_values(make_world: MakeWorld, right: str) -> None:
    world = make_world(["l1", "r1", "l2", "r2"], right=right)
    world.lab.lose(3)
    world.start("closed_forms", counts=[100], connect={"timeout_s": 60.0, "detect_s": 30.0})
    assert world.ranks.values() == [3, 3, 3, 3]


@pytest.mark.parametrize(
    ("left", "right"), [("keeping", "keeping"), ("resetting", "resetting")]
)  # fmt: skip
def test_long_ways_are_punched(make_world: MakeWorld, left: str, right: str) -> None:
    world = make_world(["l1", "r1"], left=left, right=right)
    world.lab.delay(15)
    world.start("cross")
    first, second = world.ranks.values()
    assert first["ways"] == {1: "punched"}
    assert first["total"] == second["total"] == 2
