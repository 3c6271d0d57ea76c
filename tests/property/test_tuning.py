"""The model of a run: monotonic where it must be, billed as runs are, advice on the front."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from cosmic.contracts.plan import share_rows
from cosmic.costs.bill import Usage, bill, billed_ms, transitions
from cosmic.costs.measured import Measured
from cosmic.costs.platform import LAMBDA, local_stack
from cosmic.costs.predict import (
    AGGREGATE_MB,
    Configuration,
    Job,
    Prediction,
    batches_of_ranks,
    predict,
)
from cosmic.costs.tune import Advice, Constraints, advise, candidates, front, world_sizes
from cosmic.errors import InputError
from cosmic.planning.memory import projected_memory_mb

MEASURED = Measured(
    where="test",
    engine="openvino",
    precision="float32",
    model_bytes=64_000_000,
    row_bytes=20_568,
    rows_per_s={32: 390.0, 64: 400.0, 512: 350.0},
    init_s=0.8,
    load_s=0.5,
    peak_memory_mb=300,
    memory_batch_size=64,
)
rows = st.integers(1, 2_000_000)
worlds = st.integers(1, 2000)
memories = st.integers(1024, 10_240)
batch_sizes = st.sampled_from(sorted(MEASURED.rows_per_s))
partitions = st.integers(1, 6000)
jobs = st.builds(Job, rows, st.booleans(), st.sampled_from(["direct", "none"]))
configurations = st.builds(Configuration, memories, worlds, batch_sizes, partitions)


def predicted(job: Job, how: Configuration) -> Prediction:
    return predict(job, how, MEASURED, LAMBDA)


@given(st.integers(1, 5000), st.integers(1, 900), st.integers(1, 130), st.integers(1, 60))
def test_ranks_get_the_batches_that_the_planner_gives_them(
    n: int, of_partition: int, batch_size: int, world: int
) -> None:
    sizes = [min(of_partition, n - at) for at in range(0, n, of_partition)]
    planned = [
        sum(math.ceil((s.stop - s.start) / batch_size) for s in rank.slices)
        for rank in share_rows(sizes, world, batch_size)
    ]
    assert batches_of_ranks(n, of_partition, batch_size, world).tolist() == planned


@given(jobs, configurations, st.integers(1, 1_000_000))
def test_more_rows_never_take_less_time_or_money(job: Job, how: Configuration, more: int) -> None:
    less, greater = predicted(job, how), predicted(replace(job, rows=job.rows + more), how)
    assert greater.wall_s >= less.wall_s
    assert greater.compute_s >= less.compute_s
    assert greater.usd >= less.usd - 1e-12


@given(jobs, configurations, memories)
def test_more_memory_never_makes_a_run_slower(job: Job, how: Configuration, other: int) -> None:
    small, large = sorted((how.memory_mb, other))
    slow, fast = (predicted(job, replace(how, memory_mb=mb)) for mb in (small, large))
    assert fast.wall_s <= slow.wall_s + 1e-9


@given(jobs, configurations)
def test_a_cold_run_takes_longer_and_costs_more_than_a_warm_one(
    job: Job, how: Configuration
) -> None:
    warm, cold = (predicted(replace(job, cold=is_cold), how) for is_cold in (False, True))
    assert cold.wall_s > warm.wall_s
    assert cold.usd > warm.usd


@given(jobs, configurations)
def test_ranks_that_talk_are_billed_for_waiting_and_others_are_not(
    job: Job, how: Configuration
) -> None:
    alone, together = (predicted(replace(job, channel=c), how) for c in ("none", "direct"))
    assert alone.idle_s == 0
    assert together.billed_s == pytest.approx(alone.billed_s + together.idle_s)


@given(jobs, configurations)
def test_the_cost_is_that_of_the_bill(job: Job, how: Configuration) -> None:
    p = predicted(job, how)
    by_item = {line.item: line.usd for line in p.lines}
    world = how.world_size
    merge = MEASURED.aggregate_s + MEASURED.aggregate_s_per_row * job.rows
    # Each rank is rounded up to a millisecond, so the sum lies within that.
    for seconds, sign in ((p.billed_s, 1), (p.billed_s + world / 1000, -1)):
        usage = Usage(((billed_ms(seconds), how.memory_mb), (billed_ms(merge), AGGREGATE_MB)))
        bound = bill(usage)[0].usd
        slack = 2e-3 * how.memory_mb / 1024 * 1.67e-5
        assert sign * (by_item["Lambda duration"] - bound) >= -slack
    assert by_item["Step Functions"] == pytest.approx(transitions(world) * 0.000025)
    assert by_item["Lambda requests"] == pytest.approx((world + 1) * 2e-7)
    assert p.usd == pytest.approx(sum(by_item.values()))


@given(jobs, configurations)
def test_the_memory_that_is_demanded_is_what_init_demands(job: Job, how: Configuration) -> None:
    p = predicted(job, how)
    assert p.needs_mb == projected_memory_mb(
        MEASURED.model_bytes, MEASURED.row_bytes, how.batch_size, MEASURED.engine
    )


def test_below_one_vcpu_a_rank_is_slower_at_the_same_price() -> None:
    job = Job(100_000, cold=False, channel="none")
    half, whole = (predicted(job, Configuration(mb, 10, 64, 1278)) for mb in (1769 // 2, 1769))
    assert half.compute_s == pytest.approx(2 * whole.compute_s, rel=0.01)
    assert half.lines[0].usd == pytest.approx(whole.lines[0].usd, rel=0.02)


def test_the_thousand_and_first_environment_waits_for_ten_seconds() -> None:
    job = Job(1_000_000)
    walls = [predicted(job, Configuration(1769, n, 64, 1278)).wall_s for n in (1000, 1001)]
    assert walls[1] > walls[0] + 5


def test_ranks_that_share_cores_gain_nothing_beyond_them() -> None:
    machine = local_stack(cores=2, launch_s=0.1)
    job = Job(12_800, cold=False)
    walls = [
        predict(job, Configuration(1769, n, 64, 1280), MEASURED, machine).wall_s for n in (1, 2, 8)
    ]
    assert walls[1] < 0.7 * walls[0]
    assert walls[2] > 0.9 * walls[1]


def test_what_was_not_measured_is_refused() -> None:
    how = Configuration(1769, 4, 128, 1278)
    with pytest.raises(InputError, match="batch size 128"):
        predicted(Job(1000), how)
    warm_only = MEASURED.model_copy(update={"init_s": None})
    with pytest.raises(InputError, match="no cold start"):
        predict(Job(1000), replace(how, batch_size=64), warm_only, LAMBDA)


def some_advice(n: int, limits: Constraints) -> Advice:
    return advise(Job(n), MEASURED, LAMBDA, limits, (1278,))


limits_strategy = st.builds(Constraints, st.integers(1024, 10_240), st.integers(1, 300))


@given(st.integers(1, 300_000), limits_strategy)
def test_all_that_is_recommended_lies_on_the_front_of_all_there_is(
    n: int, limits: Constraints
) -> None:
    assume(n < 100_000 * limits.max_concurrency)
    found = some_advice(n, limits)
    everything = [
        p
        for how in candidates(Job(n), MEASURED, limits, (1278,))
        if (p := predicted(Job(n), how)).needs_mb <= how.memory_mb and p.rank_s <= LAMBDA.longest_s
    ]
    for chosen in (found.fastest, found.cheapest, found.best_value):
        assert chosen.configuration.memory_mb <= limits.max_memory_mb
        assert chosen.configuration.world_size <= limits.max_concurrency
        assert not [p for p in everything if p.wall_s < chosen.wall_s and p.usd < chosen.usd]
        assert chosen in found.curve
    assert found.fastest.wall_s == min(p.wall_s for p in everything)
    assert found.cheapest.usd == min(p.usd for p in everything)
    assert found.best_value.usd * found.best_value.wall_s == pytest.approx(
        min(p.usd * p.wall_s for p in everything)
    )
    walls, costs = ([p.wall_s for p in found.curve], [p.usd for p in found.curve])
    assert walls == sorted(walls)
    assert costs == sorted(costs, reverse=True)
    assert front(everything) == list(found.curve)


def test_a_deadline_is_kept_or_the_nearest_is_named() -> None:
    free = some_advice(100_000, Constraints())
    bound = free.cheapest.wall_s / 2
    assert some_advice(100_000, Constraints(deadline_s=bound)).cheapest.wall_s <= bound
    with pytest.raises(InputError, match=f"takes {free.fastest.wall_s:.1f} s, over 1 s"):
        some_advice(100_000, Constraints(deadline_s=1.0))


def test_work_that_no_rank_ends_in_time_is_refused() -> None:
    with pytest.raises(InputError, match="none fits") as refused:
        some_advice(10_000_000, Constraints(max_concurrency=1))
    assert refused.value.code == "no-configuration"


@given(st.integers(1, 10_000))
def test_world_sizes_rise_to_the_largest(largest: int) -> None:
    sizes = world_sizes(largest)
    assert sizes == sorted(set(sizes))
    assert (sizes[0], sizes[-1]) == (1, largest)
    assert np.all(np.diff(sizes) > 0)
