"""A run that may cost too much is refused, with both numbers."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from cosmic.client.manifests import read_manifest
from cosmic.contracts.manifest import RunLimits
from cosmic.contracts.plan import Limits, Plan
from cosmic.costs.budget import (
    LONGEST_AGGREGATE_S,
    LONGEST_INIT_S,
    LONGEST_RANK_S,
    expect,
    most_usd,
    over_budget,
)
from cosmic.costs.measured import at_rate
from cosmic.costs.predict import AGGREGATE_MB
from cosmic.costs.prices import gb_second
from cosmic.errors import InvalidInput
from cosmic_local.template.template import read
from plan_support import small_plan

RANKS, MEMORY_MB = 8, 1769
LIMITS = Limits(world_size=RANKS, memory_mb=MEMORY_MB, channels=("direct",))
TEMPLATE = Path(__file__).parents[2] / "template.yaml"
MANIFEST: dict[str, Any] = {
    "version": 1,
    "job": "dear",
    "model": {"uri": "s3://bucket/m.safetensors"},
    "data": {"uri": "s3://bucket/data/"},
}


@pytest.fixture
def plan() -> Plan:
    return small_plan([10_000], RANKS, row_bytes=20_568, model_bytes=1_000_000, fmi_timeout_s=60)


def test_the_most_is_every_function_at_its_time_limit(plan: Plan) -> None:
    gb_s = RANKS * LONGEST_RANK_S * MEMORY_MB / 1024 + LONGEST_AGGREGATE_S * AGGREGATE_MB / 1024
    lambda_usd = gb_s * gb_second("x86_64").usd
    assert lambda_usd < most_usd(plan, LIMITS) < 1.01 * lambda_usd


def test_the_time_limits_are_the_templates() -> None:
    resources = read(TEMPLATE)["Resources"]
    limits = [
        resources[name]["Properties"]["Timeout"] for name in ("InferFunction", "AggregateFunction")
    ]
    assert [s + LONGEST_INIT_S for s in limits] == [LONGEST_RANK_S, LONGEST_AGGREGATE_S]


def test_what_is_expected_lies_below_the_most(plan: Plan) -> None:
    assert expect(plan, LIMITS, at_rate(200.0, plan)).usd < most_usd(plan, LIMITS) / 10


@pytest.mark.parametrize("rows_per_s", [None, 200.0])
def test_a_run_is_refused_above_its_limit_and_taken_at_it(
    plan: Plan, rows_per_s: float | None
) -> None:
    measured = None if rows_per_s is None else at_rate(rows_per_s, plan)
    usd = expect(plan, LIMITS, measured).usd if measured else most_usd(plan, LIMITS)
    at_it = RunLimits(max_cost_usd=usd, rows_per_s=rows_per_s)
    below = RunLimits(max_cost_usd=usd * 0.99, rows_per_s=rows_per_s)
    assert over_budget(plan, at_it, LIMITS) == []
    (problem,) = over_budget(plan, below, LIMITS)
    assert (problem.pointer, problem.code) == ("/limits/max_cost_usd", "too-expensive")
    shown = [float(number) for number in re.findall(r"\$([0-9.]+\d)", problem.message)]
    assert shown == pytest.approx([usd, usd * 0.99], abs=1e-6)


def test_measured_figures_count_before_the_stated_rate(plan: Plan) -> None:
    slow, fast = at_rate(20.0, plan), RunLimits(rows_per_s=2000.0, max_cost_usd=0.001)
    assert over_budget(plan, fast, LIMITS, slow)


def test_without_a_limit_nothing_is_refused(plan: Plan) -> None:
    assert over_budget(plan, RunLimits(rows_per_s=0.001), LIMITS) == []


def test_the_option_takes_the_place_of_the_manifests_limit() -> None:
    document = {**MANIFEST, "limits": {"max_cost_usd": 1, "rows_per_s": 200}}
    checked, text = read_manifest(document, {"max_cost_usd": 0.5, "rows_per_s": None})
    assert checked.limits == RunLimits(max_cost_usd=0.5, rows_per_s=200.0)
    assert read_manifest(text)[0] == checked
    kept, _ = read_manifest(document)
    assert kept.limits.max_cost_usd == 1.0


def test_nothing_else_of_a_manifest_changes_with_the_option() -> None:
    plain, _ = read_manifest(MANIFEST)
    limited, text = read_manifest(MANIFEST, {"max_cost_usd": 2.0})
    assert limited.model_copy(update={"limits": plain.limits}) == plain
    assert b"batch_size" not in text, "defaults stay defaults"


@pytest.mark.parametrize("value", [0, -1, float("nan"), float("inf")])
def test_a_limit_is_a_number_of_dollars(value: float) -> None:
    with pytest.raises(InvalidInput) as caught:
        read_manifest(MANIFEST, {"max_cost_usd": value})
    assert [p.pointer for p in caught.value.problems] == ["/limits/max_cost_usd"]
