"""Who may start ranks: runs queue for the concurrency that they share.

A Distributed Map starts its ranks as they fit. Two runs that each got half of theirs would wait for
the other half until they time out. So each run waits until all its ranks fit beside those of
the runs before it: first come, first served.

The queue is one small object, changed by compare-and-swap. A place in it is a lease: it ends when
its execution does, however that ends, and at the latest when the state machine's time is over.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from pydantic import Field, TypeAdapter

from cosmic.contracts.location import Location
from cosmic.contracts.manifest import Contract
from cosmic.errors import InputError, NoRoomYet
from cosmic.storage.aws_errors import translated
from cosmic.storage.objects import Store

if TYPE_CHECKING:
    from types_boto3_stepfunctions import SFNClient

QUEUE_KEY = "admission/queue.json"
LEASE_S = 86_400  # the state machine's own time limit


class Place(Contract):
    """A run's place in the queue.

    Attributes:
        ranks: How many of its ranks run at once.
        until_s: When it ends in any case, seconds since 1970.
    """

    run: str
    execution: str
    ranks: int
    until_s: float


class Queue(Contract):
    """Runs in the order in which they asked."""

    version: int = 1
    places: tuple[Place, ...] = Field(default=(), strict=False)


class Admission(Contract):
    """What the state machine asks for: room for the ranks of a run."""

    bucket: str
    run: str
    ranks: int
    execution: str


_ADAPTER = TypeAdapter(Queue)


def admit(request: Admission, store: Store, executions: SFNClient, capacity: int) -> None:
    """Return if all ranks of a run can be started now; safe to repeat.

    Args:
        capacity: Ranks that can run at once.

    Raises:
        NoRoomYet: runs before this one hold the room. It keeps its place in the queue.
        InputError: S3 or Step Functions refuses for good.
        TransientError: S3 or Step Functions failed.
    """
    at = Location(request.bucket, QUEUE_KEY)
    queue, etag = _read(store, at)
    places = queue.places
    index = next((i for i, p in enumerate(places) if p.run == request.run), len(places))
    before = _living(places[:index], executions, capacity)
    until_s = places[index].until_s if index < len(places) else time.time() + LEASE_S
    mine = Place(run=request.run, execution=request.execution, ranks=request.ranks, until_s=until_s)
    wanted = Queue(places=(*before, mine, *places[index + 1 :]))
    text = wanted.model_dump_json(indent=1).encode()
    if wanted != queue and not store.replace(at, text, etag):
        raise NoRoomYet("another run changed the queue at the same moment")
    taken = sum(p.ranks for p in before)
    # Who is first always goes: its ranks may be more than fit since the quota was lowered.
    if before and taken + request.ranks > capacity:
        names = ", ".join(p.run for p in before[:5])
        raise NoRoomYet(
            f"{request.ranks} ranks don't fit: {taken} of {capacity} are for {names}",
            hint="it starts when they have ended",
        )


def _read(store: Store, at: Location) -> tuple[Queue, str]:
    found = store.get_current(at)
    if found is None:
        return Queue(), ""
    text, etag = found
    return _ADAPTER.validate_json(text), etag


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
