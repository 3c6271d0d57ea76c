"""Who may start ranks: runs queue for the concurrency that they share.

A Distributed Map starts its ranks as they fit. Two runs that each got half of theirs would wait for
the other half until they time out. So each run waits until all its ranks fit beside those of
the runs before it: first come, first served.

The queue is one small object, changed by compare-and-swap. A place in it is a lease: it ends when
its execution does, however that ends, and at the latest when the state machine's time is over.

To wait is no error: the answer says whether there is room and, if not, after how many seconds to
look again. The state machine waits that long, and its own time limit ends the waiting.
"""

from __future__ import annotations

import math
import random
import time
from dataclasses import asdict, dataclass
from itertools import accumulate
from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import Field, TypeAdapter

from cosmic.contracts.location import Location
from cosmic.contracts.manifest import Contract
from cosmic.errors import InputError
from cosmic.storage.aws_errors import translated
from cosmic.storage.damaged import parsed
from cosmic.storage.objects import Store

if TYPE_CHECKING:
    from types_boto3_stepfunctions import SFNClient

QUEUE_KEY = "admission/queue.json"
EMPTY_IT = "delete it when no run is at work; runs that wait then take their places anew"
LEASE_S = 86_400  # the state machine's own time limit
SWAPS = 5
SWAP_PAUSE_S = 0.1
FIRST_LOOK_S = 5.0
SHARE_OF_STANDING = 0.25
LONGEST_LOOK_S = 300.0  # of who is next in line, so the longest that free room is unused
NEW = -1  # in no line yet


class Place(Contract):
    """A run's place in the queue.

    Attributes:
        ranks: How many of its ranks run at once.
        until_s: When it ends in any case, seconds since 1970.
    """

    run: str
    execution: str = Field(min_length=1, max_length=256)
    ranks: int = Field(ge=1)
    until_s: float = Field(allow_inf_nan=False)


class Queue(Contract):
    """Runs in the order in which they asked."""

    version: Literal[1] = 1
    places: tuple[Place, ...] = Field(strict=False)


class Admission(Contract):
    """What the state machine asks for: room for the ranks of a run.

    Attributes:
        looks: How often this execution has asked and had to wait.
        waiting: Runs that waited before it when it last asked; `NEW` if it never has.
        since_s: Since when it has been as many, seconds since 1970.
    """

    bucket: str
    run: str
    ranks: int
    execution: str
    looks: int = 0
    waiting: int = NEW
    since_s: float = 0.0

    @classmethod
    def from_event(cls, event: dict[str, Any]) -> Self:
        """Read the state machine's request: its state so far, and its execution."""
        run = event["run"]
        answered = run.get("admission", {})
        return cls(
            bucket=run["bucket"],
            run=run["run"],
            ranks=run["concurrency"],
            execution=event["execution"],
            looks=answered.get("looks", 0),
            waiting=answered.get("waiting", NEW),
            since_s=answered.get("since_s", 0.0),
        )


@dataclass(frozen=True)
class Answer:
    """What the state machine is told.

    Attributes:
        admitted: Whether all ranks can be started now.
        wait_s: Else, whole seconds until it should look again.
        looks: How often this execution has had to wait.
        waiting: Runs that wait before it.
        since_s: Since when it has been as many, seconds since 1970.
        before: Runs that hold the room.
        taken: Ranks that are theirs.
    """

    admitted: bool
    wait_s: int
    looks: int
    waiting: int = 0
    since_s: float = 0.0
    before: tuple[str, ...] = ()
    taken: int = 0

    def as_dict(self) -> dict[str, Any]:
        """What the state machine reads of it."""
        found = asdict(self)
        names = ("admitted", "wait_s", "looks", "waiting", "since_s")
        return {name: found[name] for name in names}


_ADAPTER = TypeAdapter(Queue)


def admit(request: Admission, store: Store, executions: SFNClient, capacity: int) -> Answer:
    """Say whether all ranks of a run can be started now; safe to repeat.

    A run that has to wait keeps its place in the queue.

    Args:
        capacity: Ranks that can run at once.

    Raises:
        InputError: S3 or Step Functions refuses for good, or the queue is damaged.
        TransientError: S3 or Step Functions failed.
    """
    for swap in range(SWAPS):
        time.sleep(random.uniform(0, swap * SWAP_PAUSE_S))  # noqa: S311
        queue, etag = _read(store, Location(request.bucket, QUEUE_KEY))
        before, mine, after = _split(queue.places, request, executions, capacity)
        wanted = Queue(places=(*before, mine, *after))
        if wanted == queue or _swapped(store, request.bucket, wanted, etag):
            return _answer(request, before, mine, capacity)
    seen = request.waiting, request.since_s
    return Answer(False, look_after_s(0, 0.0), request.looks + 1, *seen)


def _split(
    places: tuple[Place, ...], request: Admission, executions: SFNClient, capacity: int
) -> tuple[tuple[Place, ...], Place, tuple[Place, ...]]:
    """The places before the run's, its own, and those behind it.

    A place is an execution's: one that an earlier execution of the same run had counts for nothing.
    """
    found = (i for i, place in enumerate(places) if place.execution == request.execution)
    index = next(found, len(places))
    before = _living(places[:index], executions, capacity)
    until_s = places[index].until_s if index < len(places) else time.time() + LEASE_S
    mine = Place(run=request.run, execution=request.execution, ranks=request.ranks, until_s=until_s)
    return before, mine, places[index + 1 :]


def _swapped(store: Store, bucket: str, wanted: Queue, etag: str) -> bool:
    text = wanted.model_dump_json(indent=1).encode()
    return bool(store.replace(Location(bucket, QUEUE_KEY), text, etag))


def _answer(request: Admission, before: tuple[Place, ...], mine: Place, capacity: int) -> Answer:
    sums = list(accumulate(place.ranks for place in before))
    taken = sums[-1] if sums else 0
    names = tuple(place.run for place in before)
    # Who is first always goes: its ranks may be more than fit since the quota was lowered.
    if not before or taken + mine.ranks <= capacity:
        return Answer(True, 0, request.looks, before=names, taken=taken)
    waiting, now_s = sum(total > capacity for total in sums[1:]), time.time()
    since_s = request.since_s if waiting == request.waiting else now_s
    wait_s = look_after_s(waiting, now_s - since_s)
    return Answer(False, wait_s, request.looks + 1, waiting, since_s, names, taken)


def look_after_s(waiting: int, standing_s: float) -> int:
    """When to look again: later the more runs wait before this one, and the longer none has gone.

    Room becomes free in steps: while runs come and go, who is next looks often; behind a run of
    hours, looks become rare, for free room is then unused for a quarter of that time at most.

    A run whose turn is far off need not know it soon, so its wait has no bound but its place in
    the line: with one, the looks of all waiting runs together would grow with their number. Thus
    they grow as its logarithm, whatever it is: from 16 a minute for one to 120 for a thousand.
    """
    rarely = min(SHARE_OF_STANDING * standing_s, LONGEST_LOOK_S)
    most = max(FIRST_LOOK_S * (waiting + 1), rarely)
    return math.ceil(random.uniform(most / 2, most))  # noqa: S311


def _read(store: Store, at: Location) -> tuple[Queue, str]:
    found = store.get_current(at)
    if found is None:
        return Queue(places=()), ""
    text, etag = found
    return parsed(_ADAPTER.validate_json, text, at, EMPTY_IT), etag


def _living(places: tuple[Place, ...], executions: SFNClient, capacity: int) -> tuple[Place, ...]:
    """The places whose runs go on; those far behind are not looked at yet."""
    living: list[Place] = []
    taken = 0
    for place in places:
        if taken < capacity and not _alive(place, executions):
            continue
        taken += place.ranks
        living.append(place)
    return tuple(living)


def _alive(place: Place, executions: SFNClient) -> bool:
    if place.until_s < time.time():
        return False
    try:
        with translated(f"{place.execution} can't be looked at"):
            found = executions.describe_execution(executionArn=place.execution)
    except InputError as error:
        if error.code == "no-execution":
            return False
        raise
    return found["status"] == "RUNNING"
