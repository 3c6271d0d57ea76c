"""The simulated run: the formulas without chance, nothing lost or twice, never faster for less."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from cosmic.costs.counts import WRITES_PER_RANK, Configuration, Job, count
from cosmic.costs.measured import Subject, usual
from cosmic.costs.platform import LAMBDA
from cosmic.costs.predict import predict
from cosmic.costs.simulated_outcome import Simulated
from cosmic.costs.simulated_platform import (
    FAILED_BACKOFF,
    S3_BACKOFF,
    Ceilings,
    Clock,
    Cores,
    RequestRate,
)
from cosmic.costs.simulated_ranks import Chance
from cosmic.costs.simulation import simulate
from cosmic.storage.objects import s3_client

ROWS, ROW_BYTES, BATCH = 1280, 20_568, 64
MEASURED = usual(210, Subject(64_000_000, ROW_BYTES, BATCH, "openvino", "float32"))
AMPLE = Ceilings(account=100_000, gets_per_s=1e9, puts_per_s=1e9)
NO_CHANCE = Chance()
worlds = st.integers(1, 60)


def job(partitions: int, channel: str = "none", *, cold: bool = True) -> Job:
    return Job(
        partitions * ROWS, ROW_BYTES, cold=cold, channel=channel, partitions=(ROWS,) * partitions
    )


def simulated(
    partitions: int,
    world: int,
    ceilings: Ceilings = AMPLE,
    chance: Chance = NO_CHANCE,
    *,
    at_once: int | None = None,
    channel: str = "none",
) -> Simulated:
    how = Configuration(1769, world, BATCH, ROWS)
    platform = replace(LAMBDA, ranks_at_once=at_once)
    return simulate(job(partitions, channel), how, MEASURED, platform, ceilings, chance)


@settings(deadline=None)
@given(st.integers(1, 40), worlds, st.sampled_from(["none", "direct"]))
def test_without_chance_and_limits_it_is_what_the_formulas_say(
    partitions: int, world: int, channel: str
) -> None:
    how = Configuration(1769, world, BATCH, ROWS)
    expected = predict(job(partitions, channel), how, MEASURED, LAMBDA)
    found = simulated(partitions, world, channel=channel)
    assert found.wall_s == pytest.approx(expected.wall_s, rel=0.03)
    assert found.usd == pytest.approx(expected.usd, rel=0.03)
    assert found.billed_s == pytest.approx(expected.billed_s, rel=0.03)


@settings(deadline=None)
@given(st.integers(4, 40), worlds, st.integers(0, 3))
def test_requests_are_those_that_a_run_counts(partitions: int, world: int, seed: int) -> None:
    """Luck moves them in time; none is lost, and none is sent twice."""
    how = Configuration(1769, world, BATCH, ROWS)
    tight = Ceilings(gets_per_s=300, puts_per_s=100)
    found = simulated(partitions, world, tight, Chance(seed, spread=0.3), channel="direct")
    expected = count(job(partitions, "direct"), how, world)
    assume(not found.figures["deaths"])
    assert found.figures["s3_gets"] == expected.s3_gets
    assert found.figures["s3_puts"] == expected.s3_puts


@settings(deadline=None)
@given(worlds, st.integers(0, 5), st.floats(0, 1))
def test_each_rank_ends_once_and_every_try_is_billed(world: int, seed: int, deaths: float) -> None:
    found = simulated(10, world, AMPLE, Chance(seed, spread=0.2, death_share=deaths))
    assert found.tries == found.figures["deaths"] + world - found.lost
    assert found.figures["cold_starts"] <= found.tries
    assert found.figures["most_at_once"] <= world


@settings(deadline=None)
@given(worlds, st.integers(0, 5))
def test_the_same_seed_gives_the_same_run(world: int, seed: int) -> None:
    chance = Chance(seed, spread=0.2, late_share=0.1, death_share=0.1)
    limits = Ceilings(account=20, gets_per_s=200)
    one, two = (simulated(10, world, limits, chance) for _ in range(2))
    assert (one.wall_s, one.usd, one.figures) == (two.wall_s, two.usd, two.figures)


@settings(deadline=None)
@given(worlds, st.integers(1, 60), st.integers(1, 60), st.integers(0, 3))
def test_more_ranks_at_once_never_take_longer(world: int, a: int, b: int, seed: int) -> None:
    chance = Chance(seed, spread=0.3, late_share=0.1)
    few, many = (simulated(10, world, chance=chance, at_once=n) for n in sorted((a, b)))
    start_s = MEASURED.init_s or 0.0  # a further environment has to start, where one was warm
    assert many.wall_s <= few.wall_s + 10 * start_s


def test_requests_beyond_the_rate_are_refused_and_cost_time() -> None:
    free, tight = (simulated(40, 40, replace(AMPLE, gets_per_s=r)) for r in (1e9, 60))
    spread = simulated(40, 40, replace(AMPLE, gets_per_s=60, data_prefixes=1000))
    assert free.figures["slow_down"] == 0
    assert tight.figures["slow_down"] > 0
    assert tight.wall_s > 1.2 * free.wall_s
    assert spread.wall_s < tight.wall_s


def at_one_moment(world: int, puts_per_s: float) -> Simulated:
    """Ranks that all start together, and so all end together."""
    platform = replace(LAMBDA, starts_per_s=1e9, environments_at_once=world)
    how = Configuration(1769, world, BATCH, ROWS)
    ample = Ceilings(account=world, gets_per_s=1e9, puts_per_s=puts_per_s)
    return simulate(job(world, cold=False), how, MEASURED, platform, ample, NO_CHANCE)


def test_results_of_many_ranks_that_end_at_once_wait_and_are_not_lost() -> None:
    most = int(LAMBDA.s3_puts_per_s) // WRITES_PER_RANK
    assert at_one_moment(most, LAMBDA.s3_puts_per_s).figures["slow_down"] == 0
    world = most + 250
    found = at_one_moment(world, LAMBDA.s3_puts_per_s)
    assert found.figures["slow_down"] > 0
    assert found.lost == 0
    assert found.figures["s3_puts"] == at_one_moment(world, 1e9).figures["s3_puts"]


def test_requests_are_tried_again_as_the_s3_client_does() -> None:
    config: Any = s3_client().meta.config  # its options are set as attributes
    retries = config.retries
    assert retries["mode"] == "standard"
    assert retries["total_max_attempts"] == 1 + S3_BACKOFF.tries


def test_environments_start_in_groups_and_what_comes_before_is_throttled() -> None:
    platform = replace(LAMBDA, environments_at_once=10, starts_per_s=1e6)
    how = Configuration(1769, 25, BATCH, ROWS)
    found = simulate(job(250), how, MEASURED, platform, AMPLE, NO_CHANCE)
    assert found.figures["throttled"] >= 15
    assert found.first_s >= 20


def test_ranks_that_always_die_are_tried_as_often_as_the_state_machine_does() -> None:
    found = simulated(10, 5, AMPLE, Chance(death_share=1.0))
    assert found.lost == 5
    assert found.tries == 5 * (1 + FAILED_BACKOFF.tries)


def test_a_rank_that_takes_longer_than_its_function_may_is_lost() -> None:
    found = simulated(200, 1)
    assert found.lost == 1
    assert found.billed_s < found.tries * (LAMBDA.longest_s + 10)


@pytest.mark.parametrize("channel", ["none", "direct"])
def test_a_full_account_delays_ranks_and_loses_none(channel: str) -> None:
    found = simulated(20, 20, replace(AMPLE, account=7), channel=channel)
    assert found.lost == 0
    assert found.figures["most_at_once"] == 7
    assert found.figures["throttled"] > 0
    assert found.wall_s > simulated(20, 20, channel=channel).wall_s


@given(st.lists(st.tuples(st.floats(0, 5), st.integers(1, 50)), max_size=50))
def test_a_rate_is_kept_over_any_time(asked: list[tuple[float, int]]) -> None:
    rate, now_s = RequestRate(20.0), 0.0
    for pause_s, requests in asked:
        now_s += pause_s
        refused = rate.ask(requests, now_s)
        assert 0 <= refused <= requests
    assert rate.answered <= 20 * (now_s + 1) + 1e-6
    assert rate.answered + rate.refused == sum(n for _, n in asked)


def ends(cores: float | None, threads: int, tasks: list[tuple[float, float]]) -> list[float]:
    """When tasks end that begin at a time and take so many seconds on cores of their own."""
    clock, ended = Clock(), dict[int, float]()
    shared = Cores(clock, cores, threads)
    for number, (began_s, seconds) in enumerate(tasks):

        def done(number: int = number) -> None:
            ended[number] = clock.now_s

        clock.at(began_s, partial(shared.work, seconds, done))
    clock.run()
    return [ended[number] for number in range(len(tasks))]


tasks = st.lists(st.tuples(st.floats(0, 10), st.floats(0, 10)), min_size=1, max_size=12)


@given(st.floats(0.3, 8), st.integers(1, 3), tasks)
def test_shared_cores_do_no_more_than_they_can_and_all_that_is_asked(
    cores: float, threads: int, tasks: list[tuple[float, float]]
) -> None:
    found = ends(cores, threads, tasks)
    for (began_s, seconds), end_s in zip(tasks, found, strict=True):
        assert end_s >= began_s + seconds * max(1.0, threads / cores) - 1e-6
    busy_s = sum(seconds for _, seconds in tasks) * threads / cores
    assert max(found) >= min(b for b, _ in tasks) + busy_s - 1e-6


def test_who_shares_cores_is_as_slow_as_the_others_make_it() -> None:
    """Two on one core: alone for 1 s, together until the first is done, then alone again."""
    assert ends(1.0, 1, [(0.0, 2.0), (1.0, 2.0)]) == pytest.approx([3.0, 4.0])
    assert ends(2.0, 1, [(0.0, 2.0), (1.0, 2.0)]) == pytest.approx([2.0, 3.0])
    assert ends(None, 4, [(0.0, 2.0), (1.0, 2.0)]) == pytest.approx([2.0, 3.0])


@given(st.lists(st.floats(0, 100), max_size=30))
def test_the_clock_goes_forward(times: list[float]) -> None:
    clock, seen = Clock(), list[float]()
    for time_s in times:
        clock.at(time_s, lambda: seen.append(clock.now_s))
    clock.run()
    assert seen == sorted(times)
