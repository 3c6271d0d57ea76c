"""The model of a run: monotonic where it must be, billed as runs are, advice on the front."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from cosmic.contracts.plan import Plan, PlannedModel, PlannedPartition, Slice, gathers, share_rows
from cosmic.contracts.vcpus import threads_for_memory
from cosmic.costs.bill import Usage, bill, billed_ms, transitions
from cosmic.costs.counts import Configuration, Job, blocks, count, row_reads, shares
from cosmic.costs.measured import Measured
from cosmic.costs.platform import LAMBDA, Platform, local_stack
from cosmic.costs.predict import AGGREGATE_MB, Prediction, predict
from cosmic.costs.tune import Advice, Constraints, advise, candidates, front, world_sizes
from cosmic.costs.workload import of_plan
from cosmic.data.blocks import BLOCK_BYTES
from cosmic.data.ranges import spans
from cosmic.data.stream import pieces
from cosmic.errors import InputError
from cosmic.planning.memory import projected_memory_mb

ROW_BYTES = 20_568
MEASURED = Measured(
    where="test",
    engine="openvino",
    precision="float32",
    model_bytes=64_000_000,
    row_bytes=ROW_BYTES,
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
jobs = st.builds(Job, rows, st.just(ROW_BYTES), st.booleans(), st.sampled_from(["direct", "none"]))
configurations = st.builds(Configuration, memories, worlds, batch_sizes, partitions)


def predicted(job: Job, how: Configuration, platform: Platform = LAMBDA) -> Prediction:
    return predict(job, how, MEASURED, platform)


def equal_partitions(rows: int, size: int) -> list[int]:
    return [min(size, rows - at) for at in range(0, rows, size)]


def plan_of(sizes: list[int], world: int, batch_size: int, channel: str) -> Plan:
    partitions = tuple(
        PlannedPartition(bucket="b", key="k", etag="e", bytes=1, rows=n, row_bytes=ROW_BYTES)
        for n in sizes
    )
    model = PlannedModel(bucket="b", key="m", etag="e", bytes=MEASURED.model_bytes, sha256="0")
    return Plan(
        run="r",
        dataset="d",
        model=model,
        partitions=partitions,
        ranks=tuple(share_rows(sizes, world, batch_size)),
        batch_size=batch_size,
        channel=channel,
        fmi_timeout_s=60.0,
        failed_rows_percent=0.0,
        gather=gathers(channel, sum(sizes)),
    )


sizes_of_partitions = st.lists(st.integers(0, 900), min_size=1, max_size=12).filter(any)
talking = st.sampled_from(["direct", "none"])
small_batches = st.sampled_from([32, 64, 512])
several = st.integers(1, 60)


@given(sizes_of_partitions, several, st.integers(1, 130))
def test_ranks_get_the_batches_and_partitions_that_the_planner_gives_them(
    sizes: list[int], world: int, batch_size: int
) -> None:
    job = Job(sum(sizes), ROW_BYTES, partitions=tuple(sizes))
    found = shares(job, Configuration(1769, world, batch_size, max(sizes)))
    ranks = share_rows(sizes, world, batch_size)
    assert found.batches.tolist() == [
        sum(math.ceil((s.stop - s.start) / batch_size) for s in rank.slices) for rank in ranks
    ]
    assert found.partitions.tolist() == [len(rank.slices) for rank in ranks]


@given(st.integers(1, 5000), st.integers(100, 900), several, small_batches, talking, memories)
def test_a_plan_and_the_tuner_expect_exactly_the_same(
    n: int, size: int, world: int, batch_size: int, channel: str, memory_mb: int
) -> None:
    """A plan of data that exist, and the tuner's configuration of data that don't yet."""
    plan = plan_of(equal_partitions(n, size), world, batch_size, channel)
    planned = predict(*of_plan(plan, memory_mb), MEASURED, LAMBDA)
    job = Job(n, ROW_BYTES, channel=channel)
    tuned = predict(job, Configuration(memory_mb, world, batch_size, size), MEASURED, LAMBDA)
    how = replace(planned.configuration, partition_rows=size)
    assert replace(planned, configuration=how) == tuned
    assert planned.usd == tuned.usd


@given(sizes_of_partitions, st.integers(1, 20), memories)
def test_a_plan_expects_what_the_tuner_advised_for_its_data(
    sizes: list[int], concurrency: int, memory_mb: int
) -> None:
    job = Job(sum(sizes), ROW_BYTES, partitions=tuple(sizes))
    limits = Constraints(memory_mb, concurrency)
    advice = advise(job, MEASURED, LAMBDA, limits, (max(sizes),))
    for advised in (advice.fastest, advice.cheapest, advice.best_value, *advice.curve):
        how = advised.configuration
        plan = plan_of(sizes, how.world_size, how.batch_size, job.channel)
        assert predict(*of_plan(plan, how.memory_mb), MEASURED, LAMBDA) == advised


@given(st.integers(1, 3000), st.integers(1, 300), st.integers(100, 50_000))
def test_blocks_are_counted_as_the_reader_cuts_them(
    batches: int, batch_size: int, row_bytes: int
) -> None:
    rows = batches * batch_size
    whole = PlannedPartition(
        bucket="b", key="k", etag="e", bytes=rows * row_bytes, rows=rows, row_bytes=row_bytes
    )
    cut = [
        (piece.stop - piece.start) // batch_size
        for piece in pieces([Slice(partition=0, start=0, stop=rows)], [whole], batch_size)
    ]
    largest = max(1, BLOCK_BYTES // (row_bytes * batch_size))
    assert [size for size, many in blocks(batches, largest) for _ in range(many)] == cut


@pytest.mark.parametrize(
    ("sizes", "world", "batch_size", "factor"),
    [
        ([1278] * 52, 52, 64, 1.1),
        ([5112] * 20, 10, 64, 1.1),
        ([40_000] * 3, 20, 64, 1.1),  # columns so far apart that none is read with another
        ([1278] * 40, 7, 512, 1.5),
        ([200] * 5, 2, 64, 1.5),  # blocks of a whole partition
    ],
)
def test_requests_for_rows_are_those_that_the_reader_makes(
    sizes: list[int], world: int, batch_size: int, factor: float
) -> None:
    plan = plan_of(sizes, world, batch_size, "none")
    made = sum(
        1 + sum(requests_for(piece, sizes) for piece in pieces([part], plan.partitions, batch_size))
        for rank in plan.ranks
        for part in rank.slices
    )
    assert 1 / factor < row_reads(*of_plan(plan, 1769)) / made < factor


def requests_for(piece: Slice, sizes: list[int]) -> int:
    """Of a block, with the columns in the order in which a native partition has them."""
    at, ranges = 0, {}
    for name, size in (("dec", 8), ("object_id", 8), ("ra", 8), ("image", 20_480)):
        ranges[name] = (at + piece.start * size, (piece.stop - piece.start) * size)
        at += sizes[piece.partition] * size
    for name, size in (("mag", 20), ("mag_err", 20), ("z_spec", 4)):
        ranges[name] = (at + piece.start * size, (piece.stop - piece.start) * size)
        at += sizes[piece.partition] * size
    return sum(len(list(span.parts())) for span in spans(ranges))


@given(jobs, configurations)
def test_what_is_billed_by_number_is_known_before_anything_is_measured(
    job: Job, how: Configuration
) -> None:
    p = predicted(job, how)
    assert p.counts == count(job, how, how.world_size)
    assert list(p.lines[1:]) == p.counts.lines()


def test_ranks_that_cannot_all_run_at_once_come_in_waves_into_warm_environments() -> None:
    job = Job(12_800, ROW_BYTES, channel="none")
    how = Configuration(1769, 10, 64, 1280)
    together, half = (
        predict(job, how, MEASURED, replace(LAMBDA, ranks_at_once=n)) for n in (10, 5)
    )
    assert together.wall_s < half.wall_s < 2 * together.wall_s
    assert half.billed_s < together.billed_s  # the second wave starts warm
    assert together.counts.s3_gets - half.counts.s3_gets == 5  # and has the model


@given(jobs, configurations, st.integers(1, 1_000_000))
def test_more_rows_never_take_less_time_or_money(job: Job, how: Configuration, more: int) -> None:
    # Reads are counted for the mean partition, which may be smaller with more rows.
    platform = replace(LAMBDA, s3_gets_per_s=math.inf)
    jobs_of_both = job, replace(job, rows=job.rows + more)
    less, greater = (predicted(one, how, platform) for one in jobs_of_both)
    assert greater.wall_s >= less.wall_s
    assert greater.compute_s >= less.compute_s
    assert greater.lines[0].usd >= less.lines[0].usd - 1e-12


@given(jobs, configurations, st.floats(1, 1e6), st.floats(1, 1e6))
def test_s3_that_answers_fewer_reads_never_makes_a_run_faster(
    job: Job, how: Configuration, a: float, b: float
) -> None:
    rates = sorted((a, b))
    slow, fast = (predicted(job, how, replace(LAMBDA, s3_gets_per_s=rate)) for rate in rates)
    assert slow.wall_s >= fast.wall_s
    # Beyond the second's worth at once, all reads together take as long as S3 takes to answer.
    assert slow.wall_s >= row_reads(job, how) / rates[0] - 1


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
        MEASURED.model_bytes,
        MEASURED.row_bytes,
        how.batch_size,
        MEASURED.engine,
        threads_for_memory(how.memory_mb),
    )


def test_below_one_vcpu_a_rank_is_slower_at_the_same_price() -> None:
    job = Job(100_000, ROW_BYTES, cold=False, channel="none")
    half, whole = (predicted(job, Configuration(mb, 10, 64, 1278)) for mb in (1769 // 2, 1769))
    assert half.compute_s == pytest.approx(2 * whole.compute_s, rel=0.01)
    assert half.lines[0].usd == pytest.approx(whole.lines[0].usd, rel=0.02)


def test_the_thousand_and_first_environment_waits_for_ten_seconds() -> None:
    job = Job(1_000_000, ROW_BYTES)
    walls = [predicted(job, Configuration(1769, n, 64, 1278)).wall_s for n in (1000, 1001)]
    assert walls[1] > walls[0] + 5


def test_ranks_that_share_cores_gain_nothing_beyond_them() -> None:
    machine = local_stack(cores=2, launch_s=0.1)
    job = Job(12_800, ROW_BYTES, cold=False)
    walls = [
        predict(job, Configuration(1769, n, 64, 1280), MEASURED, machine).wall_s for n in (1, 2, 8)
    ]
    assert walls[1] < 0.7 * walls[0]
    assert walls[2] > 0.9 * walls[1]


def test_what_was_not_measured_is_refused() -> None:
    how = Configuration(1769, 4, 128, 1278)
    with pytest.raises(InputError, match="batch size 128"):
        predicted(Job(1000, ROW_BYTES), how)
    warm_only = MEASURED.model_copy(update={"init_s": None})
    with pytest.raises(InputError, match="no cold start"):
        predict(Job(1000, ROW_BYTES), replace(how, batch_size=64), warm_only, LAMBDA)


def some_advice(n: int, limits: Constraints) -> Advice:
    return advise(Job(n, ROW_BYTES), MEASURED, LAMBDA, limits, (1278,))


limits_strategy = st.builds(Constraints, st.integers(1024, 10_240), st.integers(1, 300))


@given(st.integers(1, 300_000), limits_strategy)
def test_all_that_is_recommended_lies_on_the_front_of_all_there_is(
    n: int, limits: Constraints
) -> None:
    assume(n < 100_000 * limits.max_concurrency)
    found, job = some_advice(n, limits), Job(n, ROW_BYTES)
    asked = (predicted(job, how) for how in candidates(job, MEASURED, limits, (1278,)))
    everything = [
        p for p in asked if p.needs_mb <= p.configuration.memory_mb and p.rank_s <= LAMBDA.longest_s
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
    with pytest.raises(InputError, match="no configuration of at most") as refused:
        some_advice(10_000_000, Constraints(max_concurrency=1))
    assert refused.value.code == "no-configuration"


@given(st.integers(1, 10_000))
def test_world_sizes_rise_to_the_largest(largest: int) -> None:
    sizes = world_sizes(largest)
    assert sizes == sorted(set(sizes))
    assert (sizes[0], sizes[-1]) == (1, largest)
    assert np.all(np.diff(sizes) > 0)
