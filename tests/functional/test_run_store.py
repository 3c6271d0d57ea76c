"""The store of a run's objects, on the S3 API."""

from __future__ import annotations

import json
from typing import Any

import pytest

from cosmic.contracts.layout import RunFolder
from cosmic.contracts.plan import Plan, PlannedModel, PlannedPartition, share_rows
from cosmic.contracts.status import State, Status
from cosmic.errors import TransientError
from cosmic.storage.objects import Store
from cosmic.storage.run_store import RunStore


@pytest.fixture
def run(store: Store, bucket: str) -> RunStore:
    """A run that has nothing yet."""
    return RunStore(store, RunFolder(bucket, "runs/", "demo-0123456789ab"))


@pytest.fixture
def plan(run: RunStore) -> Plan:
    """One rank over one partition."""
    place: dict[str, Any] = {"bucket": "b", "etag": "e", "bytes": 1}
    return Plan(
        run=run.folder.run,
        dataset="s3://d/",
        model=PlannedModel(key="model", sha256="0" * 64, **place),
        partitions=(PlannedPartition(key="0", rows=64, row_bytes=1, **place),),
        ranks=tuple(share_rows((64,), 1, 64)),
        batch_size=64,
        channel="none",
        fmi_timeout_s=1,
        failed_rows_percent=0,
        gather=False,
    )


def said(state: State, execution: str | None = None) -> Status:
    return Status(
        run="demo-0123456789ab", state=state, manifest="m", updated_at="now", execution=execution
    )


@pytest.mark.parametrize("there", [State.RUNNING, State.SUCCEEDED, State.PARTIAL, State.FAILED])
def test_a_late_announcement_or_rejection_writes_over_nothing(run: RunStore, there: State) -> None:
    run.announce(said(there))
    run.announce(said(State.RUNNING, "late"))
    assert run.reject(said(State.REJECTED)) == said(there)
    assert run.status() == said(there)


def test_what_was_started_counts_more_than_a_rejection(run: RunStore) -> None:
    assert run.reject(said(State.REJECTED)) is None
    run.announce(said(State.RUNNING))
    assert run.status() == said(State.RUNNING)


def test_a_resumed_run_replaces_the_status_that_was_seen_and_no_other(run: RunStore) -> None:
    seen = said(State.FAILED, "arn")
    run.announce(seen)
    run.announce_resumed(said(State.RUNNING, "arn-r1"), seen)
    with pytest.raises(TransientError, match="at the same time"):
        run.announce_resumed(said(State.RUNNING, "arn-r2"), seen)
    assert run.status() == said(State.RUNNING, "arn-r1")


def test_items_of_a_resumed_run_are_not_replaced_by_a_repeated_event(run: RunStore) -> None:
    run.items_once([0, 1, 2])
    run.items_once([9])
    assert json.loads(run.objects.get(run.folder.ranks)) == [{"rank": r} for r in (0, 1, 2)]


def test_a_status_that_cannot_be_read_is_none(run: RunStore) -> None:
    assert run.status() is None
    run.objects.put(run.folder.status, b"{")
    assert run.status() is None
