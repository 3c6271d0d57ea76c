"""Ranks behind all sorts of routers: each pair ends connected, relayed, or with a clear error."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import fmilib

BOUND_S = 20.0
MakeWorld = Callable[..., Any]


@pytest.mark.parametrize(
    ("left", "right", "ways"),
    [
        ("keeping", "keeping", {"punched"}),
        ("shifting", "keeping", {"punched"}),
        ("shifting", "shifting", {"punched"}),
        ("resetting", "keeping", {"punched", "relayed"}),
        ("resetting", "shifting", {"punched", "relayed"}),
        ("resetting", "resetting", {"punched", "relayed"}),
        ("symmetric", "keeping", {"relayed"}),
        ("keeping", "symmetric", {"relayed"}),
        ("symmetric", "symmetric", {"relayed"}),
        # Each reset makes the symmetric side call again from another random port: one may be
        # the very port that the rendezvous saw, and that the other side calls.
        ("symmetric", "resetting", {"punched", "relayed"}),
    ],
)
def test_two_ranks_behind_two_routers_find_a_way(
    make_world: MakeWorld, left: str, right: str, ways: set[str]
) -> None:
    world = make_world(["l1", "r1"], left=left, right=right)
    world.start("cross")
    first, second = world.ranks.values()
    assert first["total"] == second["total"] == 2
    assert first["ways"][1] == second["ways"][0]
    assert first["ways"][1] in ways
    assert max(first["took_s"], second["took_s"]) < BOUND_S


@pytest.mark.parametrize(
    ("hosts", "way"),
    [
        (["open", "l1"], "punched"),
        (["l1", "open"], "direct"),
        (["open", "meet"], "direct"),
    ],
)
@pytest.mark.parametrize("kind", ["keeping", "symmetric"])
def test_a_rank_with_a_public_address_is_reached(
    make_world: MakeWorld, hosts: list[str], way: str, kind: str
) -> None:
    world = make_world(hosts, left=kind)
    world.start("cross")
    first, second = world.ranks.values()
    assert first["ways"] == {1: way}
    assert second["total"] == 2


@pytest.mark.parametrize("kind", ["keeping", "symmetric", "resetting"])
def test_two_ranks_behind_one_router_use_their_own_addresses(
    make_world: MakeWorld, kind: str
) -> None:
    world = make_world(["l1", "l2"], left=kind)
    world.start("cross")
    first, second = world.ranks.values()
    assert (first["ways"], second["ways"]) == ({1: "private"}, {0: "private"})
    assert first["total"] == second["total"] == 2


def test_ipv6_through_firewalls_is_punched(make_world: MakeWorld) -> None:
    world = make_world(["l1", "r1"], meet="2001:db8::10")
    world.start("cross")
    first, second = world.ranks.values()
    assert first["ways"] == {1: "punched"}
    assert first["total"] == second["total"] == 2


@pytest.mark.parametrize(("left", "right"), [("keeping", "shifting"), ("symmetric", "symmetric")])
def test_four_ranks_across_two_routers_compute_the_right_values(
    make_world: MakeWorld, left: str, right: str
) -> None:
    world = make_world(["l1", "r1", "l2", "r2"], left=left, right=right)
    world.start("closed_forms", counts=[0, 1, 100, 200_000], connect={"timeout_s": 60.0})
    assert world.ranks.values() == [3, 3, 3, 3]


@pytest.mark.parametrize(
    ("hosts", "left", "right", "way"),
    [
        (["l1", "r1"], "symmetric", "keeping", "relayed"),
        pytest.param(["l1", "r1"], "keeping", "shifting", "punched", marks=pytest.mark.long),
        pytest.param(["open", "l1"], "symmetric", "keeping", "punched", marks=pytest.mark.long),
    ],
)
def test_a_rendezvous_with_two_ports_finds_the_same_ways(
    make_world: MakeWorld, hosts: list[str], left: str, right: str, way: str
) -> None:
    world = make_world(hosts, "--observe-port", "0", left=left, right=right)
    world.start("cross")
    first, second = world.ranks.values()
    assert (first["ways"], second["ways"]) == ({1: way}, {0: way})


@pytest.mark.parametrize(("left", "right"), [("symmetric", "keeping"), ("keeping", "symmetric")])
def test_a_symmetric_router_is_known_to_a_rendezvous_with_two_ports(
    make_world: MakeWorld, left: str, right: str
) -> None:
    options = ("--observe-port", "0", "--relay-bytes", "0")
    world = make_world(["l1", "r1"], *options, left=left, right=right)
    world.start("cross")
    for outcome in world.ranks.outcomes():
        assert isinstance(outcome.error, fmilib.PeerFailed), outcome
        for word in ("port isn't known, or shifts", "relays nothing"):
            assert word in outcome.error.cause


def test_no_way_at_all_is_a_clear_error_on_both_sides(make_world: MakeWorld) -> None:
    world = make_world(["l1", "r1"], "--relay-bytes", "0", left="symmetric", right="symmetric")
    world.start("cross")
    for outcome in world.ranks.outcomes():
        assert isinstance(outcome.error, fmilib.PeerFailed), outcome
        for word in ("can't be reached", "direct", "punched: not met", "relays nothing"):
            assert word in outcome.error.cause


def test_no_way_at_all_leads_over_a_store_where_there_is_one(
    make_world: MakeWorld, tmp_path: Path
) -> None:
    options = ("--observe-port", "0", "--relay-bytes", "0")
    world = make_world(["l1", "r1"], *options, left="symmetric", right="symmetric")
    stored = {"fallback": "local", "store": str(tmp_path), "detect_s": 2.0}
    world.start("cross", connect=stored)
    first, second = world.ranks.values()
    assert (first["ways"], second["ways"]) == ({}, {})
    assert first["total"] == second["total"] == 2


def test_the_relay_ends_at_its_limit_with_a_clear_error(make_world: MakeWorld) -> None:
    world = make_world(["l1", "r1"], "--relay-bytes", "3000000", left="symmetric")
    world.start("again_and_again", operation="large allreduce")
    for outcome in world.ranks.outcomes():
        assert isinstance(outcome.error, fmilib.Aborted), outcome
        assert "limit of 3000000 bytes" in outcome.error.reason
