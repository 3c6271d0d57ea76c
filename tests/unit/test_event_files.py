"""The files in `events/` are what the functions take."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cosmic.contracts.layout import run_id
from cosmic.contracts.manifest import parse_manifest
from cosmic.planning.events import uploads
from cosmic.ranks.task import RankTask
from cosmic.results.task import AggregateTask

EVENTS = Path(__file__).parents[2] / "events"


def load(name: str) -> dict[str, Any]:
    event: dict[str, Any] = json.loads((EVENTS / name).read_text())
    return event


def test_both_upload_events_announce_the_same_manifest() -> None:
    (put,) = uploads(load("s3-put.json"))
    (bridged,) = uploads(load("s3-eventbridge.json"))
    assert put == bridged
    assert put.at == ("cosmic-data-123456789012", "manifests/my first run.json")
    assert put.version_id is None, "nobody's bucket has the version of an example"


def test_the_test_event_announces_nothing() -> None:
    assert uploads(load("s3-test-event.json")) == []


def test_infer_takes_its_event() -> None:
    assert RankTask.model_validate(load("infer.json")).folder.plan.key.endswith("/plan.json")


def test_aggregate_takes_its_event() -> None:
    task = AggregateTask.from_event(load("aggregate.json"), memory_mb=1769)
    assert task.folder.status.key.startswith("runs/demo-")
    assert task.map_failure is None


def test_aggregate_takes_the_notice_of_a_stopped_execution() -> None:
    task = AggregateTask.from_event(load("execution-stopped.json"), memory_mb=1769)
    started = AggregateTask.from_event(load("aggregate.json"), memory_mb=1769)
    assert (task.folder, task.manifest_uri) == (started.folder, started.manifest_uri)
    assert task.execution == started.execution
    assert task.run_started_at_s == started.run_started_at_s
    assert task.map_failure == {"Error": "Cancelled", "Cause": "cosmic cancel"}
    assert not task.failed


def test_aggregate_takes_the_notice_of_an_execution_that_failed() -> None:
    task = AggregateTask.from_event(load("execution-failed.json"), memory_mb=1769)
    assert task.failed
    assert task.map_failure
    assert task.map_failure["Error"] == "States.DataLimitExceeded"


@pytest.mark.parametrize(
    ("status", "cause"),
    [
        ("ABORTED", "the execution was stopped"),
        ("TIMED_OUT", "the execution was stopped"),
        ("FAILED", "the execution failed: its history says why"),
    ],
)
def test_a_notice_without_a_cause_has_its_status_for_one(status: str, cause: str) -> None:
    event = load("execution-stopped.json")
    event["detail"] |= {"status": status, "error": None}
    del event["detail"]["cause"]
    task = AggregateTask.from_event(event, memory_mb=1769)
    assert task.map_failure == {"Error": status, "Cause": cause}


def test_the_events_are_those_of_one_run() -> None:
    (put,) = uploads(load("s3-put.json"))
    job = parse_manifest((EVENTS / "manifest.json").read_bytes()).job
    run = run_id(job, *put.at, put.revision)
    assert RankTask.model_validate(load("infer.json")).folder.run == run
    assert AggregateTask.from_event(load("aggregate.json"), memory_mb=1769).folder.run == run


def test_there_is_no_event_that_no_test_reads() -> None:
    read = {"s3-put", "s3-eventbridge", "s3-test-event", "infer", "aggregate"}
    ends = {"execution-stopped", "execution-failed"}
    assert {p.stem for p in EVENTS.iterdir()} == read | ends | {"manifest"}
