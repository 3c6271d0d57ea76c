"""The store of a run's objects, on the S3 API."""

from __future__ import annotations

import json
import re

import pytest

from cosmic.contracts.layout import RunFolder
from cosmic.contracts.location import Location
from cosmic.contracts.plan import Plan
from cosmic.contracts.plan_parts import SLOT_BYTES, part_of
from cosmic.contracts.status import State, Status
from cosmic.errors import InputError, TransientError
from cosmic.storage.objects import Store
from cosmic.storage.run_store import RunStore
from plan_support import small_plan


@pytest.fixture
def run(store: Store, bucket: str) -> RunStore:
    """A run that has nothing yet."""
    return RunStore(store, RunFolder(bucket, "runs/", "demo-0123456789ab"))


@pytest.fixture
def plan(run: RunStore) -> Plan:
    """One rank over one partition."""
    return small_plan([64], run=run.folder.run)


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


def test_an_end_that_got_its_page_meanwhile_is_the_end_that_was_seen(run: RunStore) -> None:
    seen = said(State.FAILED, "arn")
    run.announce(seen)
    writer = run.status_writer("arn")
    with_page = seen.model_copy(update={"outputs": {"report.html": "s3://b/report.html"}})
    assert writer.amend(with_page)
    run.announce_resumed(said(State.RUNNING, "arn-r1"), seen)
    assert run.status() == said(State.RUNNING, "arn-r1")


def test_a_page_that_is_written_while_a_run_is_resumed_does_not_stop_that(
    run: RunStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = said(State.FAILED, "arn")
    run.announce(seen)
    writer = run.status_writer("arn")
    replace = Store.replace

    def after_the_page(self: Store, at: Location, body: bytes, etag: str) -> str:
        monkeypatch.undo()
        assert writer.amend(seen.model_copy(update={"warnings": ("no page",)}))
        return replace(self, at, body, etag)

    monkeypatch.setattr(Store, "replace", after_the_page)
    run.announce_resumed(said(State.RUNNING, "arn-r1"), seen)
    assert run.status() == said(State.RUNNING, "arn-r1")


def test_a_page_comes_too_late_for_a_run_that_merges_again(run: RunStore) -> None:
    """Its execution is the one that the page is of."""
    seen, goes_on = said(State.FAILED, "arn"), said(State.RUNNING, "arn")
    run.announce(seen)
    writer = run.status_writer("arn")
    run.announce_resumed(goes_on, seen)
    assert not writer.amend(seen.model_copy(update={"outputs": {"report.html": "s3://b/r"}}))
    assert run.status() == writer.found == goes_on


def test_a_run_that_goes_on_is_resumed_only_as_it_was_seen(run: RunStore) -> None:
    seen = said(State.RUNNING, "arn")
    run.announce(said(State.FAILED, "arn"))
    with pytest.raises(TransientError, match="at the same time"):
        run.announce_resumed(said(State.RUNNING, "arn-r1"), seen)


def test_items_and_parts_of_a_resumed_run_are_not_replaced_by_a_repeated_event(
    run: RunStore, plan: Plan
) -> None:
    run.items_once(plan)
    ranks = [{"rank": rank} for rank in range(plan.world_size)]
    assert json.loads(run.objects.get(run.folder.ranks)) == ranks
    resumed = plan.model_copy(update={"channel": "none"})
    run.replan(resumed, [0])
    run.items_once(plan)
    assert json.loads(run.objects.get(run.folder.ranks)) == [{"rank": 0}]
    assert run.part(0) == part_of(resumed, 0)


def test_a_rank_of_a_run_planned_before_there_were_parts_reads_the_whole_plan(
    run: RunStore, plan: Plan
) -> None:
    run.plan_once(plan)
    assert run.part(0) == part_of(plan, 0)
    with pytest.raises(InputError, match="out of range") as raised:
        run.part(plan.world_size)
    assert raised.value.code == "bad-rank"


@pytest.mark.parametrize("other", [b"\0" * SLOT_BYTES, b"\xff" * SLOT_BYTES])
def test_a_damaged_part_is_named(run: RunStore, other: bytes) -> None:
    run.objects.put(run.folder.parts, other)
    with pytest.raises(InputError, match=re.escape(run.folder.parts.uri)) as raised:
        run.part(0)
    assert raised.value.code == "damaged"


def test_a_status_that_cannot_be_read_is_none(run: RunStore) -> None:
    assert run.status() is None
    run.objects.put(run.folder.status, b"{")
    assert run.status() is None
