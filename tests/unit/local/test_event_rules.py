"""Rules that give notices of executions on to functions."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from cosmic.results.task import AggregateTask
from cosmic_local.template.event_rules import execution_notice, matches

ARN = "arn:aws:states:us-east-1:123456789012:stateMachine:cosmic-pipeline"
PATTERN = {
    "source": ["aws.states"],
    "detail": {"stateMachineArn": [ARN], "status": ["ABORTED", "FAILED", "TIMED_OUT"]},
}
EVENTS = Path(__file__).parents[3] / "events"


def notice(**changes: Any) -> dict[str, Any]:
    real = json.loads((EVENTS / "execution-stopped.json").read_text())["detail"]
    moments = {k: datetime.fromtimestamp(real[k] / 1000, UTC) for k in ("startDate", "stopDate")}
    return execution_notice({**real, **moments, **changes})


def test_a_notice_is_as_aws_sends_it() -> None:
    real = json.loads((EVENTS / "execution-stopped.json").read_text())
    made = notice()
    assert {k: made[k] for k in ("source", "detail-type", "resources")} == {
        k: real[k] for k in ("source", "detail-type", "resources")
    }
    assert made["detail"].items() <= real["detail"].items()
    task = AggregateTask.from_event(made, memory_mb=1)
    assert task.folder == AggregateTask.from_event(real, memory_mb=1).folder


@pytest.mark.parametrize(
    ("changes", "fits"),
    [
        ({}, True),
        ({"status": "FAILED"}, True),
        ({"status": "SUCCEEDED"}, False),
        ({"stateMachineArn": f"{ARN}-2"}, False),
    ],
)
def test_a_rule_wants_one_of_the_values_of_each_field(changes: Any, fits: bool) -> None:
    assert matches(PATTERN, notice(**changes)) is fits
