"""Who may start ranks: runs queue for the concurrency that they share.

A Distributed Map starts its ranks as they fit. Two runs that each got half of theirs would wait for
the other half until they time out. So each run waits until all its ranks fit beside those of
the runs before it: first come, first served.

Waiting is not an error: the answer says whether there is room and, if not, after how many seconds
to look again. Until then the execution sleeps. It is woken when a run ends and leaves room for it.
It also looks by itself, in case a notification was lost.
"""

from __future__ import annotations

import math
import random
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Self

from cosmic.contracts.contract import Contract
from cosmic.planning.admission_queue import (
    LEASE_S,
    SWAPS,
    Place,
    Queue,
    fitting,
    living,
    pause,
    read,
    swapped,
    wake,
)
from cosmic.storage.objects import Store

if TYPE_CHECKING:
    from types_boto3_stepfunctions import SFNClient

LOOK_S = 300.0
ASK_AGAIN_S = 5.0  # of who has met others that changed the queue at the same moment


class Admission(Contract):
    """What the state machine asks for: room for the ranks of a run.

    Attributes:
        looks: How often this execution has asked and had to wait.
    """

    bucket: str
    run: str
    ranks: int
    execution: str
    looks: int = 0

    @classmethod
    def from_event(cls, event: dict[str, Any]) -> Self:
        """Read the state machine's request: its state so far, and its execution."""
        run = event["run"]
        return cls(
            bucket=run["bucket"],
            run=run["run"],
            ranks=run["concurrency"],
            execution=event["execution"],
            looks=run.get("admission", {}).get("looks", 0),
        )


@dataclass(frozen=True)
class Answer:
    """What the state machine is told.

    Attributes:
        admitted: Whether all ranks can be started now.
        wait_s: If not, whole seconds until it should look again unless it is woken.
        looks: How often this execution has had to wait.
        before: Runs that hold the room.
        taken: How many ranks they have.
    """

    admitted: bool
    wait_s: int
    looks: int
    before: tuple[str, ...] = ()
    taken: int = 0

    def as_dict(self) -> dict[str, Any]:
        """What the state machine reads of it."""
        found = asdict(self)
        return {name: found[name] for name in ("admitted", "wait_s", "looks")}


def admit(request: Admission, store: Store, executions: SFNClient, capacity: int) -> Answer:
    """Say whether all ranks of a run can be started now; safe to repeat.

    A run that has to wait keeps its place in the queue. Each look also wakes the runs before it
    that sleep although they have room, so the next look of any run makes up for a lost wake-up.

    Args:
        capacity: Ranks that can run at once.

    Raises:
        InputError: S3 or Step Functions refuses for good, or the queue is damaged.
        TransientError: S3 or Step Functions failed.
    """
    for swap in range(SWAPS):
        pause(swap)
        queue, etag = read(store, request.bucket)
        before, mine, after = _split(queue.places, request, executions, capacity)
        wanted = Queue(places=(*before, mine, *after))
        if wanted == queue or swapped(store, request.bucket, wanted, etag):
            if not mine.admitted:
                wake(before, request.bucket, store, executions, capacity)
            return _answer(request, before, mine, after, capacity)
    return Answer(False, _seconds(ASK_AGAIN_S), request.looks + 1)


def _split(
    places: tuple[Place, ...], request: Admission, executions: SFNClient, capacity: int
) -> tuple[tuple[Place, ...], Place, tuple[Place, ...]]:
    """The places before the run's, its own as it is now, and those behind it.

    A place is an execution's: one that an earlier execution of the same run had counts for nothing.
    """
    found = (i for i, place in enumerate(places) if place.execution == request.execution)
    index = next(found, len(places))
    before = living(places[:index], executions, capacity)
    until_s = places[index].until_s if index < len(places) else time.time() + LEASE_S
    mine = Place(run=request.run, execution=request.execution, ranks=request.ranks, until_s=until_s)
    has_room = mine in fitting((*before, mine), capacity)
    return before, mine.model_copy(update={"admitted": has_room}), places[index + 1 :]


def _answer(
    request: Admission,
    before: tuple[Place, ...],
    mine: Place,
    after: tuple[Place, ...],
    capacity: int,
) -> Answer:
    names, taken = tuple(place.run for place in before), sum(place.ranks for place in before)
    if mine.admitted:
        return Answer(True, 0, request.looks, names, taken)
    waiting = len(before) - len(fitting(before, capacity))
    in_line = waiting + 1 + sum(not place.admitted for place in after)
    return Answer(False, look_after_s(waiting, in_line), request.looks + 1, names, taken)


def look_after_s(waiting: int, in_line: int) -> int:
    """When to look again if nobody wakes the run: the first in line soon, the others later.

    The looks of all waiting runs are bounded, however many there are: the first in line looks at
    most once in 150 seconds, and so do the n others together, because each waits n times as long.
    Each look wakes every run that has room, so a lost notification is made up for within five
    minutes.

    Args:
        waiting: Runs that wait before this one.
        in_line: Runs that wait in all.
    """
    return _seconds(LOOK_S * (in_line if waiting else 1))


def _seconds(most: float) -> int:
    """Whole seconds, of which a random half is left out so that runs do not look in step."""
    return math.ceil(random.uniform(most / 2, most))  # noqa: S311
