"""What is expected of a run: from its own model's figures, or said to be unknown."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cosmic.client.plan import RateSource, expected_document, measured_for
from cosmic.client.stack import Stack
from cosmic.contracts.plan import Limits, Plan
from cosmic.costs.card_figures import CardFigures, with_figures
from cosmic.costs.measured import Measured, at_rate
from cosmic.costs.prices import price
from cosmic.errors import InputError, InvalidInput
from plan_support import small_plan

LIMITS = Limits(world_size=8, memory_mb=1769, channels=("direct",))
HERE = Stack.__new__(Stack)  # nothing below looks at a deployment


@pytest.fixture
def plan() -> Plan:
    return small_plan(
        [1278],
        2,
        row_bytes=20_568,
        model_bytes=64_000_000,
        channel="direct",
        fmi_timeout_s=60,
        gather=True,
    )


def written(path: Path, measured: Measured) -> Path:
    document = {"job": {"rows": 5}, "measured": measured.model_dump(mode="json")}
    path.write_text(json.dumps(document))
    return path


def test_without_figures_only_what_is_counted_is_known(plan: Plan) -> None:
    assert measured_for(plan, RateSource(), HERE, "runs/") is None
    found = expected_document(plan, LIMITS, None)
    assert (found["expected"], found["bill"]) == (None, None)
    assert found["counts"]["transitions"] == 13
    least = 12 * price("state_transition").usd + 3 * price("lambda_request").usd
    assert found["usd_at_least"] > least


def test_what_tune_measured_of_this_model_is_used_and_named(plan: Plan, tmp_path: Path) -> None:
    told = at_rate(400.0, plan).model_copy(update={"where": "this machine"})
    source = RateSource(measured=written(tmp_path / "m.json", told))
    assert measured_for(plan, source, HERE, "runs/") == told
    found = expected_document(plan, LIMITS, told)
    assert found["expected"]["measured"]["where"] == "this machine"
    assert found["bill"]["usd"] > found["usd_at_least"]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"model_sha256": "b" * 64}, "of another model"),
        ({"model_sha256": None}, "doesn't say which model"),
        ({"engine": "torch"}, "of torch, float32, not of openvino, float32"),
        ({"precision": "bf16"}, "of openvino, bf16"),
    ],
)
def test_figures_of_another_model_or_engine_are_refused(
    plan: Plan, tmp_path: Path, changes: dict[str, str | None], said: str
) -> None:
    told = at_rate(400.0, plan).model_copy(update=changes)
    with pytest.raises(InputError, match=said) as refused:
        measured_for(plan, RateSource(measured=written(tmp_path / "m.json", told)), HERE, "runs/")
    assert "cosmic tune" in refused.value.hint


def test_a_card_gives_the_figures_of_its_own_model_alone(plan: Plan, tmp_path: Path) -> None:
    figures = at_rate(400.0, plan)
    block = CardFigures(date="2026-11-28", cpu="a processor", versions={}, figures=figures)
    card = {"sha256": plan.model.sha256, "parameters": 1, "architecture": {}}
    path = tmp_path / "card.json"
    path.write_text(json.dumps(with_figures(card, block, path)))
    found = measured_for(plan, RateSource(measured=path), HERE, "runs/")
    assert found is not None
    assert found.rows_per_s == {64: 400.0}
    other = plan.model_copy(
        update={"model": plan.model.model_copy(update={"sha256": "b" * 64})},
    )
    with pytest.raises(InputError, match="of another model"):
        measured_for(other, RateSource(measured=path), HERE, "runs/")


def test_one_source_at_most_is_taken() -> None:
    with pytest.raises(InputError, match="2 of --like, --from and --rows-per-s"):
        RateSource(like="r", rows_per_s=1.0)


@pytest.mark.parametrize("job", [None, {}, {"rows": "many"}, {"rows": 0}])
def test_figures_without_the_rows_they_were_measured_for_are_refused(
    plan: Plan, tmp_path: Path, job: Any
) -> None:
    told = at_rate(400.0, plan).model_dump(mode="json")
    path = tmp_path / "m.json"
    path.write_text(json.dumps({"job": job, "measured": told}))
    with pytest.raises(InvalidInput) as refused:
        measured_for(plan, RateSource(measured=path), HERE, "runs/")
    assert [p.code for p in refused.value.problems] == ["not-measured"]
    assert refused.value.problems[0].pointer.startswith("/job")
