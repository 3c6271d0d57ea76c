"""Asynchronous events: tried again, and kept when they fail for good."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cosmic_local.errors import PayloadTooLarge, UnknownFunction
from cosmic_local.lambda_pool.event_queue import EventQueue
from cosmic_local.lambda_pool.function import AsyncConfig, FunctionSpec
from cosmic_local.lambda_pool.invocation_log import JsonLines, read_records
from cosmic_local.lambda_pool.pool import Pool
from process_support.waiting import until

from .conftest import BASE

Given = list[tuple[FunctionSpec, dict[str, Any]]]
MakeQueue = Callable[..., tuple[EventQueue, Given]]


@pytest.fixture
def make_queue(pool: Pool, tmp_path: Path) -> Iterator[MakeQueue]:
    """A queue before the pool, and what it gives to its destination."""
    queues: list[EventQueue] = []

    def make(**config: Any) -> tuple[EventQueue, Given]:
        pool.add(replace(BASE, events=AsyncConfig(**config)))
        given: Given = []
        queue = EventQueue(pool, tmp_path, lambda *pair: given.append(pair), (0.05, 0.1))
        queues.append(queue)
        return queue, given

    yield make
    for queue in queues:
        queue.close()


def records(tmp_path: Path) -> list[Any]:
    return read_records(tmp_path / "pool-0" / "invocations.jsonl")


def test_an_event_that_succeeds_is_tried_once(make_queue: MakeQueue, tmp_path: Path) -> None:
    queue, given = make_queue()
    request_id = queue.submit("first", b'{"x": 1}', "s3")
    (record,) = until(lambda: records(tmp_path))
    assert (record.request_id, record.source, record.outcome) == (request_id, "s3", "ok")
    assert given == []


def test_an_event_that_fails_is_tried_three_times_and_kept(
    make_queue: MakeQueue, tmp_path: Path
) -> None:
    queue, given = make_queue()
    request_id = queue.submit("first", b'{"raise": "x"}', "s3")
    ((spec, kept),) = until(lambda: given)
    assert spec.name == "first"
    assert [r.request_id for r in records(tmp_path)] == [request_id] * 3
    assert kept["requestContext"]["condition"] == "RetriesExhausted"
    assert kept["requestContext"]["approximateInvokeCount"] == 3
    assert kept["requestPayload"] == {"raise": "x"}
    assert kept["responsePayload"]["errorType"] == "BrokenError"
    assert list(JsonLines(tmp_path / "failed-events.jsonl").read()) == [kept]


def test_no_retries_if_so_configured(make_queue: MakeQueue, tmp_path: Path) -> None:
    queue, given = make_queue(max_retries=0)
    queue.submit("first", b'{"exit": 1}', "s3")
    until(lambda: given)
    assert len(records(tmp_path)) == 1


def test_a_throttled_event_waits_for_room(
    make_queue: MakeQueue, pool: Pool, tmp_path: Path
) -> None:
    queue, given = make_queue()
    pool.add(replace(BASE, reserved_concurrency=1))
    for _ in range(3):
        queue.submit("first", json.dumps({"sleep_s": 0.2}).encode(), "s3")
    until(lambda: len(records(tmp_path)) == 3)
    assert {r.outcome for r in records(tmp_path)} == {"ok"}
    assert given == []


def test_what_cannot_be_accepted_is_refused_at_once(make_queue: MakeQueue) -> None:
    queue, _ = make_queue()
    with pytest.raises(UnknownFunction):
        queue.submit("other", b"{}", "s3")
    with pytest.raises(PayloadTooLarge):
        queue.submit("first", b'"' + b"x" * 2_000_000 + b'"', "s3")
