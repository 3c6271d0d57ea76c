"""Objects of our own that are damaged: whoever reads them names them and says the way out."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from cosmic.client.deployment import Deployment
from cosmic.client.results import read_metrics
from cosmic.client.snapshots import read_status
from cosmic.contracts.location import Location
from cosmic.contracts.status import State
from cosmic.errors import CosmicError
from cosmic.results.read_run import read_run
from cosmic.storage.run_store import RunStore
from cosmic_cli import program
from cosmic_cli.exit_codes import Exit
from functional.test_admission import PLACE, Runs, runs
from functional.test_aggregate import Run, columns, plain_page, run
from functional.test_no_execution import Planned, planned

__all__ = ["columns", "plain_page", "planned", "run", "runs"]
NOT_JSON = (b"", b"{", b"\xff\xfe\x00", b"<html>503</html>", b"nul", b'{"version": 1e999}')
NOT_THIS = (b"[]", b"null", b"7", b'"text"', b"{}", b'{"version": 99}', b"[" * 5000)
OTHER_TYPES: tuple[Any, ...] = ("text", -1, 1.5, None, [], {}, [None], True)
Outcome = tuple[int, str, str]


def damages(text: bytes, fields: Mapping[str, Any]) -> Iterator[bytes]:
    """Ways in which an object can be damaged.

    Args:
        text: The object as it should be.
        fields: Values of single fields that no reader can use.
    """
    yield from (text[: len(text) // 2], text[:-1], text + b"}", *NOT_JSON, *NOT_THIS)
    document = json.loads(text)
    yield json.dumps({**document, "of_a_later_version": 1}).encode()
    for field, value in fields.items():
        yield json.dumps({**document, field: value}).encode()
    for field in document:
        if field != "version" and document[field] is not None:
            other = next(v for v in OTHER_TYPES if type(v) is not type(document[field]) and v)
            yield json.dumps({**document, field: other}).encode()


class CommandLine:
    """`cosmic` on the deployment of a test."""

    def __init__(self, patch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self._patch, self._capsys = patch, capsys

    def __call__(self, planned: Planned, *words: str, as_json: bool = True) -> Outcome:
        """Exit code, what was said, and what was said to be wrong with the way out."""
        there = Deployment(replace(planned.target, client=cache(planned.target.client)))
        self._patch.setattr("cosmic_cli.options.find_deployment", lambda **_: there)
        self._patch.setattr(sys, "argv", ["cosmic", *words, *["--json"] * as_json])
        code = program.exit_code(as_json=as_json)
        said, wrong = self._capsys.readouterr()
        lines = wrong.splitlines()
        error = json.loads(lines[-1])["error"] if as_json and code and lines else {}
        message = error.get("message", wrong) if code else ""
        return int(code), said + message, error.get("hint", "")


@pytest.fixture
def command_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> CommandLine:
    return CommandLine(monkeypatch, capsys)


def assert_named(at: Location, damaged: bytes, read: Callable[[], object]) -> None:
    """Reading it says which object it is, and the way out."""
    with pytest.raises(CosmicError) as caught:
        read()
    error = caught.value
    assert (error.code, at.uri in error.message) == ("damaged", True), damaged
    assert error.hint


SPOILT_STATUS = {
    "problems": [{}],
    "missing": [{"rank": 1}],
    "state": "SOMEHOW",
    "world_size": -1,
    "outputs": {"catalogue.parquet": 7},
}
SPOILT_PLAN = {
    "ranks": [],
    "batch_size": 0,
    "partitions": [],
    "fmi_timeout_s": -1.0,
    "model": {},
}


def test_a_status(planned: Planned, command_line: CommandLine) -> None:
    at, run = planned.folder.status, planned.folder.run
    text = planned.store.get(at)
    for damaged in damages(text, SPOILT_STATUS):
        planned.store.put(at, damaged)
        assert_named(at, damaged, lambda: read_status(planned.store, planned.folder))
    planned.store.put(at, text[:-1])
    for command in ("status", "watch", "resume", "cancel", "results", "report"):
        code, said, hint = command_line(planned, command, run)
        assert (code, at.uri in said, bool(hint)) == (Exit.INVALID, True, True), command
    assert planned.store.get(at) == text[:-1], "it is kept"


def test_a_damaged_status_hides_no_other_run(planned: Planned, command_line: CommandLine) -> None:
    steps, arn = planned.target.client("stepfunctions"), planned.target.pipeline_arn
    for name in (planned.folder.run, "other-0123456789ab"):
        steps.start_execution(stateMachineArn=arn, name=name)
    planned.store.put(planned.folder.status, b"{")
    code, said, _ = command_line(planned, "runs")
    assert code == Exit.DONE
    states = {found["run"]: found["state"] for found in json.loads(said)["runs"]}
    assert states == {planned.folder.run: "DAMAGED", "other-0123456789ab": "RUNNING"}


def test_a_plan(planned: Planned, command_line: CommandLine) -> None:
    at, run = planned.folder.plan, planned.folder.run
    text = planned.store.get(at)
    plan = json.loads(text)
    first, *rest = plan["ranks"]
    spoilt_ranks = [
        [first, first, *rest],
        [{**first, "rank": 9}, *rest],
        [{**first, "slices": [{"partition": 7, "start": 0, "stop": 8}]}, *rest],
        [{**first, "slices": [{"partition": 0, "start": 8, "stop": 0}]}, *rest],
        [{**first, "slices": [{"partition": 0, "start": 0, "stop": 10**6}]}, *rest],
        [{**first, "slices": rest[0]["slices"]}, *rest],
    ]
    spoilt = [json.dumps({**plan, "ranks": ranks}).encode() for ranks in spoilt_ranks]
    before = planned.status
    for damaged in (*damages(text, SPOILT_PLAN), *spoilt):
        planned.store.put(at, damaged)
        assert_named(at, damaged, RunStore(planned.store, planned.folder).plan)
    for command in ("status", "watch", "resume"):
        code, said, hint = command_line(planned, command, run)
        assert (code, at.uri in said, bool(hint)) == (Exit.INVALID, True, True), command
    assert planned.status == before, "nothing else was touched"


def test_a_record(planned: Planned, command_line: CommandLine) -> None:
    at, run = planned.folder.record(0, 4), planned.folder.run
    planned.finish(0)
    planned.finish(1)
    others = planned.store.get(planned.folder.record(1, 4))
    held = RunStore(planned.store, planned.folder)
    text = planned.store.get(at)
    for damaged in (*damages(text, {"rank": 3, "world_size": 5}), others):
        planned.store.put(at, damaged)
        assert_named(at, damaged, lambda: held.records(4))
    for command in ("status", "watch"):
        code, said, hint = command_line(planned, command, run)
        assert (code, at.uri in said, "resume" in hint) == (Exit.INVALID, True, True), command
    code, said, _ = command_line(planned, "resume", run)
    assert (code, json.loads(said)["ranks"]) == (Exit.DONE, [0, 2, 3])


def test_the_items_of_the_map(planned: Planned, command_line: CommandLine) -> None:
    planned.finish(1)
    planned.store.put(planned.folder.ranks, b"[{")
    assert command_line(planned, "resume", planned.folder.run)[0] == Exit.DONE
    assert json.loads(planned.store.get(planned.folder.ranks)) == [{"rank": r} for r in (0, 2, 3)]


def test_the_metrics(
    run: Callable[[int], Run], planned: Planned, command_line: CommandLine, tmp_path: Path
) -> None:
    done = run(2)
    done.write()
    done.aggregate(tmp_path)
    text = done.object("metrics.json")
    at, name = planned.folder.metrics, planned.folder.run
    planned.write(state=State.SUCCEEDED, outputs={"metrics.json": at.uri})
    planned.store.put(at, text)
    assert command_line(planned, "status", name, as_json=False)[0] == Exit.DONE
    parts = {key: json.loads(text)[key] for key in ("run", "bill", "photo_z", "domain")}
    spoilt = [{**parts, key: {}} for key in parts] + [{**parts, "photo_z": {"n": 3}}]
    whole = (text[: len(text) // 2], text[:-1], *NOT_JSON, *NOT_THIS)
    for damaged in (*whole, *(json.dumps(document).encode() for document in spoilt)):
        planned.store.put(at, damaged)
        assert_named(at, damaged, lambda: read_metrics(planned.store, planned.folder))
    code, said, _ = command_line(planned, "status", name, as_json=False)
    assert (code, at.uri in said, "cosmic results" in said) == (Exit.INVALID, True, True)


READ_BY_AGGREGATE: dict[str, dict[str, Any]] = {
    "plan.json": SPOILT_PLAN,
    "records/rank-0001-of-0002.json": {"rank": 0, "world_size": 3},
    "records/collective.json": {"reduced": {}, "shard_sha256": [1]},
    "failures/1.json": {"rank": -1},
}


@pytest.mark.parametrize("name", READ_BY_AGGREGATE)
def test_aggregate_names_what_is_damaged(
    run: Callable[[int], Run], tmp_path: Path, name: str
) -> None:
    done = run(2)
    done.write()
    note = {"rank": 1, "error": "KeyError", "cause": "'x'"}
    done.store.put_json(done.folder.at("failures/1.json"), note)
    at, held = done.folder.at(name), RunStore(done.store, done.folder)
    text = done.store.get(at)
    for damaged in damages(text, READ_BY_AGGREGATE[name]):
        done.store.put(at, damaged)
        assert_named(at, damaged, lambda: read_run(held))
    assert_named(at, b"", lambda: done.aggregate(tmp_path))
    done.store.put(at, text)
    assert done.aggregate(tmp_path).state is State.SUCCEEDED


def test_the_queue(runs: Runs) -> None:
    at = Location(runs.bucket, "admission/queue.json")
    text = json.dumps({"version": 1, "places": [PLACE]}).encode()
    spoilt = {"places": [{**PLACE, "ranks": 0}]}
    asking = runs.start(1)
    for damaged in damages(text, spoilt):
        runs.store.put(at, damaged)
        assert_named(at, damaged, lambda: runs.ask(asking))
