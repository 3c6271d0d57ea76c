"""How many ranks where a manifest leaves it open: the best value, within what can run."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cosmic.contracts.manifest import Manifest, check_manifest
from cosmic.contracts.plan import Limits, Plan, PlannedModel, PlannedPartition
from cosmic.costs.measured import at_rate
from cosmic.costs.platform import LAMBDA
from cosmic.costs.predict import predict
from cosmic.costs.tune import world_sizes
from cosmic.costs.workload import of_plan
from cosmic.costs.world_size import USUAL_ROWS_PER_S, alternatives, best_world_size
from cosmic.planning.inputs import RunInputs
from cosmic.planning.plan_run import plan_run

ROW_BYTES = 20_568
sizes = st.lists(st.integers(0, 20_000), min_size=1, max_size=6)
at_once = st.integers(1, 3000)


def manifest(rows_per_s: float | None = None, limit_rows: int | None = None) -> Manifest:
    return check_manifest(
        {
            "version": 1,
            "job": "best-value",
            "model": {"uri": "s3://bucket/model"},
            "data": {"uri": "s3://bucket/data/"},
            "inference": {"limit_rows": limit_rows},
            "limits": {"rows_per_s": rows_per_s},
        }
    )


def limits(world_size: int) -> Limits:
    return Limits(world_size=world_size, memory_mb=1769, channels=("direct",))


def inputs(rows: list[int], model_bytes: int = 64_000_000) -> RunInputs:
    partitions = [
        PlannedPartition(
            bucket="bucket",
            key=f"data/{i}.safetensors",
            etag="e",
            bytes=n * ROW_BYTES,
            rows=n,
            row_bytes=ROW_BYTES,
        )
        for i, n in enumerate(rows)
    ]
    digest = "0" * 64
    model = PlannedModel(bucket="bucket", key="m", etag="e", bytes=model_bytes, sha256=digest)
    return RunInputs(partitions, model)


def planned(rows: list[int], most: int, rows_per_s: float | None = None) -> Plan:
    found = plan_run(
        "best-value-1", manifest(rows_per_s), inputs(rows), limits(most), best_world_size
    )
    assert isinstance(found, Plan), found
    return found


@given(sizes, at_once)
def test_it_stays_within_what_can_run_and_no_rank_is_idle(rows: list[int], most: int) -> None:
    batches = sum(-(-n // 64) for n in rows)
    assert (
        1 <= best_world_size(manifest(), inputs(rows), limits(most)) <= max(1, min(most, batches))
    )


@given(st.integers(1, 20_000), at_once)
def test_the_same_manifest_gives_the_same_plan(rows: int, most: int) -> None:
    assert planned([rows], most) == planned([rows], most)


def test_ten_times_the_rows_get_more_ranks() -> None:
    """Between neighbours that isn't so: 300 ranks can divide a run better than 361 do."""
    found = [best_world_size(manifest(), inputs([1280] * 10**n), limits(10_000)) for n in range(4)]
    assert found == sorted(set(found))


def test_a_model_ten_times_as_fast_gets_fewer_ranks() -> None:
    rates = (20, 200, 2000)
    found = [best_world_size(manifest(r), inputs([1280] * 100), limits(10_000)) for r in rates]
    assert found == sorted(set(found), reverse=True)


@given(st.integers(1, 60), st.integers(1, 300))
def test_no_other_size_that_can_run_has_a_better_value(partitions: int, most: int) -> None:
    plan = planned([1280] * partitions, most)
    job, how = of_plan(plan, 1769)
    platform = replace(LAMBDA, ranks_at_once=most)
    rate = at_rate(USUAL_ROWS_PER_S, plan)
    values = {}
    for n in world_sizes(min(most, partitions * 20)):
        p = predict(job, replace(how, world_size=n), rate, platform)
        values[n] = p.usd * p.wall_s
    assert values[plan.world_size] == pytest.approx(min(values.values()))


def test_of_a_terabyte_few_ranks_compute_long() -> None:
    ranks = best_world_size(manifest(), inputs([1218] * 40_000), limits(10_000))
    assert 40_000 * 1218 / ranks > 10_000
    assert ranks >= 500


def test_a_limit_of_rows_counts() -> None:
    assert best_world_size(manifest(limit_rows=64), inputs([1280] * 100), limits(1000)) == 1


def test_without_rows_there_is_one_rank() -> None:
    assert best_world_size(manifest(), inputs([0]), limits(1000)) == 1


def test_alternatives_stand_beside_the_plan_and_trade_time_for_money() -> None:
    plan = planned([1280] * 100, 1000)
    found = alternatives(plan, limits(1000), None)
    fewer, chosen, more = found.document()["of"]
    assert found.assumed
    assert [fewer["planned"], chosen["planned"], more["planned"]] == [False, True, False]
    assert (fewer["ranks"], more["ranks"]) == (plan.world_size // 2, plan.world_size * 2)
    assert fewer["wall_s"] > chosen["wall_s"] > more["wall_s"]
    assert fewer["usd"] < chosen["usd"] < more["usd"]
    assert chosen["usd"] * chosen["wall_s"] <= min(p["usd"] * p["wall_s"] for p in (fewer, more))


@pytest.mark.parametrize(("rows", "most", "expected"), [([64], 10, [1]), ([1280] * 50, 2, [1, 2])])
def test_no_alternative_needs_more_than_can_run(
    rows: list[int], most: int, expected: list[int]
) -> None:
    plan = planned(rows, most)
    found = alternatives(plan, limits(most), at_rate(100, plan))
    assert [p["ranks"] for p in found.document()["of"]] == expected
    assert not found.assumed
    assert found.rows_per_s == 100
