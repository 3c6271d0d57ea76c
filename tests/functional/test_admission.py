"""Runs queue for the ranks that can run at once: against real S3 and Step Functions APIs."""

from __future__ import annotations

import json
import math
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from cosmic.contracts.location import Location
from cosmic.errors import InputError
from cosmic.planning.admission import (
    FIRST_LOOK_S,
    LONGEST_LOOK_S,
    QUEUE_KEY,
    Admission,
    Answer,
    admit,
    look_after_s,
)
from cosmic.storage.objects import Store

WAITING = {"StartAt": "W", "States": {"W": {"Type": "Wait", "Seconds": 3600, "End": True}}}


class Runs:
    """Executions that go on until they are stopped, and what each asks for."""

    def __init__(self, steps: Any, store: Store, bucket: str) -> None:
        self.steps, self.store, self.bucket = steps, store, bucket
        role = "arn:aws:iam::123456789012:role/r"
        made = steps.create_state_machine(name=bucket, definition=json.dumps(WAITING), roleArn=role)
        self.machine = made["stateMachineArn"]

    def start(self, ranks: int) -> Admission:
        run = f"run-{uuid.uuid4().hex[:8]}"
        started = self.steps.start_execution(stateMachineArn=self.machine, name=run)
        return Admission(
            bucket=self.bucket, run=run, ranks=ranks, execution=started["executionArn"]
        )

    def end(self, run: Admission) -> None:
        self.steps.stop_execution(executionArn=run.execution)

    def ask(self, run: Admission, capacity: int = 10) -> Answer:
        return admit(run, self.store, self.steps, capacity)

    def admitted(self, run: Admission, capacity: int = 10) -> bool:
        return self.ask(run, capacity).admitted

    def queued(self) -> list[str]:
        queue = json.loads(self.store.get(Location(self.bucket, QUEUE_KEY)))
        return [place["run"] for place in queue["places"]]


@pytest.fixture
def runs(aws: Callable[[str], Any], store: Store, bucket: str) -> Runs:
    return Runs(aws("stepfunctions"), store, bucket)


def again(run: Admission, answer: Answer) -> Admission:
    """The same run's next question."""
    return run.model_copy(
        update={"looks": answer.looks, "waiting": answer.waiting, "since_s": answer.since_s}
    )


def test_runs_that_fit_together_go_together(runs: Runs) -> None:
    first, second = runs.start(6), runs.start(4)
    assert runs.admitted(first)
    assert runs.admitted(second)
    assert runs.queued() == [first.run, second.run]


def test_a_run_waits_until_its_ranks_fit(runs: Runs) -> None:
    first, second = runs.start(6), runs.start(5)
    assert runs.admitted(first)
    assert not runs.admitted(second)
    runs.end(first)
    assert runs.admitted(second)
    assert runs.queued() == [second.run]


def test_asking_again_changes_nothing(runs: Runs) -> None:
    run = runs.start(10)
    assert runs.admitted(run)
    before = runs.store.head(Location(runs.bucket, QUEUE_KEY))
    assert runs.admitted(run)
    assert runs.store.head(Location(runs.bucket, QUEUE_KEY)) == before


def test_first_come_first_served(runs: Runs) -> None:
    holder, large, small = runs.start(6), runs.start(10), runs.start(1)
    assert runs.admitted(holder)
    assert not runs.admitted(large)
    assert not runs.admitted(small), "it would starve the large one"
    runs.end(holder)
    assert not runs.admitted(small)
    assert runs.admitted(large)


def test_a_waiting_run_that_was_stopped_is_passed(runs: Runs) -> None:
    holder, gone, small = runs.start(6), runs.start(10), runs.start(4)
    assert runs.admitted(holder)
    assert not runs.admitted(gone)
    runs.end(gone)
    assert runs.admitted(small)


def test_a_run_larger_than_a_lowered_quota_goes_alone(runs: Runs) -> None:
    small, large = runs.start(1), runs.start(10)
    assert runs.admitted(small, capacity=4)
    assert not runs.admitted(large, capacity=4)
    runs.end(small)
    assert runs.admitted(large, capacity=4)


def test_a_lease_ends_with_the_state_machines_time(
    runs: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    holder, waiting = runs.start(10), runs.start(10)
    with monkeypatch.context() as long_ago:
        long_ago.setattr("cosmic.planning.admission.time.time", lambda: 1e9)
        assert runs.admitted(holder)
    assert runs.admitted(waiting), "the holder's execution still runs, its lease is over"


def test_an_execution_that_nobody_knows_holds_nothing(runs: Runs) -> None:
    holder, waiting = runs.start(10), runs.start(10)
    forgotten = holder.model_copy(update={"execution": holder.execution + "-gone"})
    assert runs.admitted(forgotten)
    assert runs.admitted(waiting)


def test_of_many_at_once_only_those_that_fit_are_let_in(runs: Runs) -> None:
    asking = [runs.start(3) for _ in range(6)]
    with ThreadPoolExecutor(6) as threads:
        first = list(threads.map(runs.admitted, asking))
    assert sum(first) <= 3
    while not all(run.run in runs.queued() for run in asking):  # who met another asks again
        [runs.admitted(run) for run in asking if run.run not in runs.queued()]
    assert sum(runs.admitted(run) for run in asking) == 3


def test_a_queue_that_cannot_be_read_is_no_permission(runs: Runs) -> None:
    run = runs.start(1)
    nowhere = run.model_copy(update={"bucket": runs.bucket + "-none"})
    with pytest.raises(Exception, match="no-bucket"):
        runs.admitted(nowhere)


PLACE = {"run": "r", "execution": "e", "ranks": 1, "until_s": 1e12}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        '{"version": 1, "places": [{}]}',
        json.dumps({"places": [{**PLACE, "ranks": -9}]}),
        json.dumps({"places": [{**PLACE, "execution": ""}]}),
        json.dumps({"places": [{**PLACE, "until_s": float("inf")}]}),
    ],
)
def test_a_damaged_queue_is_named_with_the_way_out_and_kept(runs: Runs, text: str) -> None:
    at = Location(runs.bucket, QUEUE_KEY)
    runs.store.put(at, text.encode())
    with pytest.raises(InputError, match=at.uri) as caught:
        runs.ask(runs.start(1))
    assert caught.value.code == "damaged"
    assert "delete it" in caught.value.hint
    assert runs.store.get(at) == text.encode()


def test_to_wait_is_an_answer_that_says_for_how_long(runs: Runs) -> None:
    holder, waiting = runs.start(10), runs.start(10)
    assert runs.ask(holder) == Answer(True, 0, looks=0)
    for looks in range(3):
        answer = runs.ask(waiting.model_copy(update={"looks": looks}))
        assert (answer.admitted, answer.looks) == (False, looks + 1)
        assert 1 <= answer.wait_s <= FIRST_LOOK_S
        assert isinstance(answer.wait_s, int), "Step Functions waits whole seconds"
        assert (answer.before, answer.taken) == ((holder.run,), 10)


def test_who_waits_far_behind_or_in_a_line_that_stands_looks_rarely(
    runs: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cosmic.planning.admission.random.uniform", lambda _, most: most)
    queued = [runs.start(10) for _ in range(4)]
    first = [runs.ask(run) for run in queued]
    waits = [answer.wait_s for answer in first]
    assert waits == [0, FIRST_LOOK_S, 2 * FIRST_LOOK_S, 3 * FIRST_LOOK_S]
    now, standing = time.time(), again(queued[1], first[1])
    for later_s, wait_s in ((100, 25), (1000, 250), (10_000, LONGEST_LOOK_S)):
        monkeypatch.setattr("cosmic.planning.admission.time.time", lambda at=now + later_s: at)
        assert runs.ask(standing).wait_s == pytest.approx(wait_s, abs=1)


def test_who_has_waited_long_and_is_next_looks_often_while_runs_come_and_go(
    runs: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cosmic.planning.admission.random.uniform", lambda _, most: most)
    queued = [runs.start(10) for _ in range(3)]
    answers = [runs.ask(run) for run in queued]
    now = time.time() + 10_000
    monkeypatch.setattr("cosmic.planning.admission.time.time", lambda: now)
    runs.end(queued[0])
    assert runs.admitted(again(queued[1], answers[1]))
    next_in_line = runs.ask(again(queued[2], answers[2]))
    assert (next_in_line.waiting, next_in_line.since_s) == (0, now)
    assert next_in_line.wait_s == FIRST_LOOK_S


@pytest.mark.parametrize("draw", [min, max], ids=["often", "rarely"])
def test_looks_of_all_who_wait_grow_as_the_logarithm_of_their_number(
    monkeypatch: pytest.MonkeyPatch, draw: Callable[[float, float], float]
) -> None:
    monkeypatch.setattr("cosmic.planning.admission.random.uniform", draw)

    def looks_a_minute(waiting: int) -> float:
        return sum(60 / look_after_s(before, 0.0) for before in range(waiting))

    most = 60 / (FIRST_LOOK_S / 2)
    for waiting in (1, 30, 1000, 10_000):
        assert looks_a_minute(waiting) <= most * (1 + math.log(waiting))


def test_an_earlier_executions_place_is_not_that_of_a_later_one(runs: Runs) -> None:
    early, other = runs.start(10), runs.start(10)
    assert runs.admitted(early)
    assert not runs.admitted(other)
    runs.end(early)
    again = runs.start(10).model_copy(update={"run": early.run})
    assert not runs.admitted(again), "it asks anew, behind who has waited"
    assert runs.admitted(other)
    assert runs.queued() == [other.run, early.run]


def test_a_queue_that_others_change_all_the_time_is_no_error(
    runs: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cosmic.planning.admission.SWAP_PAUSE_S", 0.0)
    monkeypatch.setattr(runs.store, "replace", lambda *_: "")
    answer = runs.ask(runs.start(1))
    assert (answer.admitted, answer.looks) == (False, 1)
    assert answer.wait_s >= 1


def test_the_state_machines_request_is_read() -> None:
    state = {"bucket": "b", "prefix": "runs/", "run": "r", "concurrency": 3}
    first = Admission.from_event({"run": state, "execution": "arn"})
    assert first == Admission(bucket="b", run="r", ranks=3, execution="arn", looks=0)
    answer = Answer(False, 7, looks=2, waiting=3, since_s=1e9, before=("x",), taken=9).as_dict()
    assert answer.keys() == {"admitted", "wait_s", "looks", "waiting", "since_s"}
    later = Admission.from_event({"run": {**state, "admission": answer}, "execution": "arn"})
    assert (later.looks, later.waiting, later.since_s) == (2, 3, 1e9)
    old = {"admitted": False, "wait_s": 7, "looks": 2}  # an execution that an upgrade has met
    assert Admission.from_event({"run": {**state, "admission": old}, "execution": "arn"}).looks == 2
