"""What moto keeps of executions that have ended, and of objects."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from moto.s3 import models
from moto.s3.models import FakeDeleteMarker, FakeKey

from cosmic_local import moto_adapter
from cosmic_local.moto_ended import EndedExecutions
from cosmic_local.object_bytes import ObjectBytes

NOBODY: Any = SimpleNamespace()


def execution(number: int) -> Any:
    map_run = SimpleNamespace(
        map_run_arn=f"arn-{number}",
        describe=lambda: {"itemCounts": {"succeeded": number}},
        list_item=lambda: {"mapRunArn": f"arn-{number}"},
    )
    pool = SimpleNamespace(get_all=lambda: [map_run])
    events = SimpleNamespace(get_event_history=lambda: [{"id": number}])
    env = SimpleNamespace(map_run_record_pool_manager=pool, event_manager=events, much=object())
    return SimpleNamespace(exec_worker=SimpleNamespace(env=env))


def test_of_what_has_ended_history_and_map_runs_are_left_of_the_last() -> None:
    over, executions = EndedExecutions(most=2), [execution(number) for number in range(3)]
    for made in executions:
        over.settle(made)
    first, *others = (made.exec_worker.env for made in executions)
    assert first.event_manager.get_event_history() == []
    assert first.map_run_record_pool_manager.get_all() == []
    for number, env in enumerate(others, 1):
        assert not hasattr(env, "much")
        assert env.event_manager.get_event_history() == [{"id": number}]
        (map_run,) = env.map_run_record_pool_manager.get_all()
        assert map_run.list_item() == {"mapRunArn": f"arn-{number}"}
        found = env.map_run_record_pool_manager.get(f"arn-{number}")
        assert found.describe() == {"itemCounts": {"succeeded": number}}
        assert env.callback_pool_manager.notify(callback_id="c", outcome=None) is False


def test_what_is_gone_is_forgotten() -> None:
    with moto_adapter.adapted(NOBODY):
        before = len(FakeKey.instances_tracked)  # type: ignore[attr-defined]
        key = FakeKey("k", b"body", "1", "us-east-1")
        assert key.value == b"body"
        assert len(FakeKey.instances_tracked) == before  # type: ignore[attr-defined]
        key.dispose()


def test_a_listing_of_versions_has_all_but_their_bytes() -> None:
    with moto_adapter.adapted(NOBODY):
        key = FakeKey("k", b"body" * 1000, "1", "us-east-1", bucket_name="b", version_id="v")
        key.metadata["made-by"] = "us"
        listed, marker = models.copy.deepcopy(  # type: ignore[attr-defined]
            [key, FakeDeleteMarker(key)]
        )
        assert isinstance(listed._value_buffer, ObjectBytes)
        assert (listed.name, listed.size, listed.etag) == ("k", 4000, key.etag)
        assert (listed.version_id, listed.metadata) == ("v", key.metadata)
        assert marker.name == "k"
        assert listed.value == b""
        del listed, marker
        assert key.value == b"body" * 1000
        key.dispose()
