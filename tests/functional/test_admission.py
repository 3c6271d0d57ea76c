"""Runs queue for the ranks that can run at once: against real S3 and Step Functions APIs."""

from __future__ import annotations

import heapq
import json
import uuid
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from cosmic.contracts.location import Location
from cosmic.errors import InputError
from cosmic.planning.admission import LOOK_S, Admission, Answer, admit, look_after_s
from cosmic.planning.admission_queue import (
    LEASE_S,
    QUEUE_KEY,
    RUN_ENDED,
    Ended,
    release,
    sleeper_at,
)
from cosmic.storage.objects import Store
from cosmic_local.template.event_rules import execution_notice

# In any five minutes, who is next looks twice at most; so do the others in their first round, which
# starts as they come, and once more in the rounds after it.
WINDOW_S = 300
MOST_LOOKS = 6

WAITING = {"StartAt": "W", "States": {"W": {"Type": "Wait", "Seconds": 3600, "End": True}}}


class Runs:
    """Executions that go on until they are stopped, and what each asks for."""

    def __init__(self, steps: Any, store: Store, bucket: str) -> None:
        self.steps, self.store, self.bucket = steps, store, bucket
        role = "arn:aws:iam::123456789012:role/r"
        made = steps.create_state_machine(name=bucket, definition=json.dumps(WAITING), roleArn=role)
        self.machine = made["stateMachineArn"]

    def start(self, ranks: int, asleep: bool = False) -> Admission:
        """A run; one that is asleep has left its token."""
        run = f"run-{uuid.uuid4().hex[:8]}"
        text = json.dumps({"bucket": self.bucket})
        made = self.steps.start_execution(stateMachineArn=self.machine, name=run, input=text)
        asks = Admission(bucket=self.bucket, run=run, ranks=ranks, execution=made["executionArn"])
        if asleep:
            self.store.put(sleeper_at(self.bucket, asks.execution), b'{"token": "of its own"}')
        return asks

    def end(self, run: Admission) -> None:
        self.steps.stop_execution(executionArn=run.execution)

    def ask(self, run: Admission, capacity: int = 10) -> Answer:
        return admit(run, self.store, self.steps, capacity)

    def admitted(self, run: Admission, capacity: int = 10) -> bool:
        return self.ask(run, capacity).admitted

    def release(self, run: Admission, capacity: int = 10) -> tuple[str, ...]:
        ended = Ended(self.bucket, run.execution)
        return release(ended, self.store, self.steps, capacity)

    def queued(self) -> list[str]:
        queue = json.loads(self.store.get(Location(self.bucket, QUEUE_KEY)))
        return [place["run"] for place in queue["places"]]


@pytest.fixture
def runs(aws: Callable[[str], Any], store: Store, bucket: str) -> Runs:
    return Runs(aws("stepfunctions"), store, bucket)


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
        long_ago.setattr("cosmic.planning.admission_queue.time.time", lambda: 1e9)
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
        assert LOOK_S / 2 <= answer.wait_s <= LOOK_S
        assert isinstance(answer.wait_s, int), "Step Functions waits whole seconds"
        assert (answer.before, answer.taken) == ((holder.run,), 10)


def test_who_is_not_next_looks_the_less_often_the_more_wait(
    runs: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cosmic.planning.admission.random.uniform", lambda _, most: most)
    queued = [runs.start(10) for _ in range(4)]
    assert [runs.ask(run).wait_s for run in queued] == [0, LOOK_S, 2 * LOOK_S, 3 * LOOK_S]
    assert [runs.ask(run).wait_s for run in queued] == [0, LOOK_S, 3 * LOOK_S, 3 * LOOK_S]


def test_a_run_is_woken_when_there_is_room_for_it_and_not_before(runs: Runs) -> None:
    small, large = runs.start(4), runs.start(6)
    waiting, last = runs.start(5, asleep=True), runs.start(5, asleep=True)
    assert [runs.admitted(run) for run in (small, large, waiting, last)] == [
        True,
        True,
        False,
        False,
    ]
    runs.end(small)
    assert runs.release(small) == (), "four are free, and it needs five"
    runs.end(large)
    assert runs.release(large) == (waiting.run, last.run)
    assert runs.admitted(waiting)
    assert runs.admitted(last)
    assert runs.queued() == [waiting.run, last.run]
    assert runs.release(large) == (), "who was admitted is awake"


def test_the_place_of_an_execution_that_still_seems_to_run_is_free_once_its_end_is_announced(
    runs: Runs,
) -> None:
    holder, waiting = runs.start(10), runs.start(10, asleep=True)
    assert runs.admitted(holder)
    assert not runs.admitted(waiting)
    assert runs.release(holder) == (waiting.run,), "Step Functions may say RUNNING for a while"
    assert runs.admitted(waiting)


def test_a_wake_up_that_got_lost_is_made_up_for_by_anybodys_look(
    runs: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    woken: list[str] = []
    monkeypatch.setattr(
        "cosmic.planning.admission_queue._woken", lambda place, *_: woken.append(place.run)
    )
    holder, waiting, last = runs.start(10), runs.start(10), runs.start(1)
    assert [runs.admitted(run) for run in (holder, waiting, last)] == [True, False, False]
    assert woken == []
    runs.end(holder)
    assert not runs.admitted(last)
    assert woken == [waiting.run]


def test_a_run_that_died_asleep_is_passed_by_the_next(runs: Runs) -> None:
    holder, dead, waiting = runs.start(10), runs.start(10, asleep=True), runs.start(10, asleep=True)
    for run in (holder, dead, waiting):
        runs.admitted(run)
    runs.end(dead)
    runs.end(holder)
    assert runs.release(holder) == (waiting.run,)


@pytest.mark.parametrize("text", [b"", b"{}", b'{"token": ""}', b"\xff"])
def test_a_token_that_cannot_be_used_holds_up_nobody(runs: Runs, text: bytes) -> None:
    holder, waiting = runs.start(9), runs.start(5)
    assert runs.admitted(holder)
    assert not runs.admitted(waiting)
    runs.store.put(sleeper_at(runs.bucket, waiting.execution), text)
    runs.end(holder)
    assert runs.release(holder) == ()
    assert runs.admitted(waiting)


def test_the_notice_of_an_end_is_read(runs: Runs) -> None:
    run = runs.start(1)
    runs.end(run)
    described = runs.steps.describe_execution(executionArn=run.execution)
    notice = execution_notice(described)
    assert notice["detail-type"] == RUN_ENDED
    assert Ended.from_event(notice) == Ended(runs.bucket, run.execution)


@pytest.mark.parametrize("draw", [min, max], ids=["often", "rarely"])
@pytest.mark.parametrize("waiting", [1, 2, 30, 1000, 10_000])
def test_looks_of_all_who_wait_are_bounded_whatever_their_number(
    monkeypatch: pytest.MonkeyPatch, waiting: int, draw: Callable[[float, float], float]
) -> None:
    """A simulated day, in which no run ends and so none is woken."""
    monkeypatch.setattr("cosmic.planning.admission.random.uniform", draw)
    first = [(look_after_s(before, before + 1), before) for before in range(waiting)]
    due, looks = sorted(first), Counter[int]()
    while due[0][0] < LEASE_S:
        now, before = due[0]
        looks[now // WINDOW_S] += 1
        heapq.heapreplace(due, (now + look_after_s(before, waiting), before))
    assert max(looks.values()) <= MOST_LOOKS
    assert looks.total() >= LEASE_S // LOOK_S - 1, "who is next goes on looking"


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
    monkeypatch.setattr("cosmic.planning.admission_queue.SWAP_PAUSE_S", 0.0)
    monkeypatch.setattr(runs.store, "replace", lambda *_: "")
    answer = runs.ask(runs.start(1))
    assert (answer.admitted, answer.looks) == (False, 1)
    assert answer.wait_s >= 1


def test_the_state_machines_request_is_read() -> None:
    state = {"bucket": "b", "prefix": "runs/", "run": "r", "concurrency": 3}
    first = Admission.from_event({"run": state, "execution": "arn"})
    assert first == Admission(bucket="b", run="r", ranks=3, execution="arn", looks=0)
    answer = Answer(False, 7, looks=2, before=("x",), taken=9).as_dict()
    assert answer.keys() == {"admitted", "wait_s", "looks"}
    later = Admission.from_event({"run": {**state, "admission": answer}, "execution": "arn"})
    assert later.looks == 2
