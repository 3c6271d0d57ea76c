"""Runs that `init` or `aggregate` could not do are refused beforehand, with numbers."""

from __future__ import annotations

import pytest

from cosmic.contracts.manifest import check_manifest
from cosmic.contracts.plan import FunctionLimits, Limits, PlannedModel, PlannedPartition
from cosmic.planning.capacity import (
    aggregate_s,
    too_much_for_hats,
    too_much_to_look_at,
    too_much_to_merge,
)
from cosmic.planning.inputs import RunInputs
from cosmic.planning.plan_run import plan_run

LIMITS = FunctionLimits()
TERABYTE = (48_700_000, 10_000, 40_000)  # rows, ranks, partitions


def test_a_terabyte_is_not_refused() -> None:
    assert too_much_to_merge(*TERABYTE, LIMITS) == []
    assert too_much_to_look_at("/data", 40_000, 40_000, LIMITS) == []


def test_more_rows_than_aggregate_has_time_for_are_refused_with_the_most_that_it_has() -> None:
    (problem,) = too_much_to_merge(200_000_000, 10_000, 40_000, LIMITS)
    assert problem.code == "too-many-rows"
    assert "200,000,000 rows of 10,000 ranks takes up to 1,510 s" in problem.message
    assert "840 s" in problem.message
    most = int(problem.hint.split("at most ")[1].split(" ")[0].replace(",", ""))
    assert aggregate_s(most, 10_000) <= LIMITS.aggregate_s < aggregate_s(most + 1000, 10_000)


def test_more_ranks_than_aggregate_has_memory_for_are_refused() -> None:
    problems = too_much_to_merge(1_000_000, 200_000, 200_000, LIMITS)
    assert "too-many-ranks" in {p.code for p in problems}


def test_a_catalogue_of_more_parts_than_s3_takes_is_refused() -> None:
    long = FunctionLimits(aggregate_s=10_000_000)
    assert {p.code for p in too_much_to_merge(600_000_000, 10, 10, long)} == {"too-many-rows"}
    assert too_much_to_merge(400_000_000, 10, 10, long) == []


@pytest.mark.parametrize(("partitions", "headers"), [(70_000, 70_000), (90_000, 0)])
def test_more_partitions_than_init_can_look_at_are_refused(partitions: int, headers: int) -> None:
    (problem,) = too_much_to_look_at("/data", partitions, headers, LIMITS)
    assert problem.code == "too-many-partitions"
    assert f"{headers or partitions:,} partitions" in problem.message


def test_the_limits_are_those_of_a_deployment_unless_it_says_otherwise() -> None:
    assert Limits(world_size=1, memory_mb=1, channels=()).functions == LIMITS


@pytest.mark.parametrize("here", [False, True])
@pytest.mark.parametrize(("rows", "hats"), [(200_000_000, False), (70_000_000, True)])
def test_such_a_run_is_not_planned_for_a_deployment(here: bool, rows: int, hats: bool) -> None:
    partition = PlannedPartition(
        bucket="bucket", key="d/0", etag="e", bytes=1, rows=rows, row_bytes=20_520
    )
    model = PlannedModel(bucket="bucket", key="m", etag="e", bytes=1, sha256="0" * 64)
    document = {
        "version": 1,
        "job": "large",
        "model": {"uri": "s3://bucket/m"},
        "data": {"uri": "s3://bucket/d/"},
        "inference": {"world_size": 1},
        "output": {"hats": hats},
    }
    limits = Limits(world_size=1, memory_mb=1769, channels=("direct",))
    limits = limits.model_copy(update={"functions": None}) if here else limits
    inputs = RunInputs([partition], model)
    found = plan_run("large-1", check_manifest(document), inputs, limits)
    codes = [p.code for p in found] if isinstance(found, list) else []
    assert codes == ([] if here else ["too-many-rows"])


def test_hats_of_a_terabyte_can_be_written_too() -> None:
    assert too_much_for_hats(*TERABYTE[:2], LIMITS) == []


def test_hats_beyond_time_or_scratch_are_refused_with_the_way_out() -> None:
    (slow,) = too_much_for_hats(80_000_000, 1_000, LIMITS)
    (large,) = too_much_for_hats(1_000_000, 10, FunctionLimits(aggregate_scratch_mb=100))
    assert (slow.pointer, large.pointer) == ("/output/hats", "/output/hats")
    assert "840 s" in slow.message
    assert "100 MB" in large.message
    assert "`cosmic hats`" in slow.hint
