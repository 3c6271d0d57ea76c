"""The queue for the concurrency that runs share: who holds room, who waits, and who is woken.

It is one small object, changed by compare-and-swap. A place in it is a lease: it ends when its
execution does, however that ends, and at the latest when the state machine's time is over.

A run that waits has left a task token in a separate object. Whoever finds that there is room for
the run returns the token, and the execution continues.
"""

from __future__ import annotations

import json
import logging
import random
import time
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import Field, TypeAdapter, ValidationError

from cosmic.contracts.contract import Contract
from cosmic.contracts.location import Location
from cosmic.errors import InputError
from cosmic.storage.aws_errors import translated
from cosmic.storage.damaged import parsed
from cosmic.storage.objects import Store

if TYPE_CHECKING:
    from types_boto3_stepfunctions import SFNClient

log = logging.getLogger(__name__)
QUEUE_KEY = "admission/queue.json"
EMPTY_IT = "delete it when no run is active; waiting runs then join the queue again"
LEASE_S = 86_400  # the state machine's own time limit
SWAPS = 5
SWAP_PAUSE_S = 0.1
RUN_ENDED = "Step Functions Execution Status Change"


class Place(Contract):
    """A run's place in the queue.

    Attributes:
        ranks: How many of its ranks run at once.
        until_s: When it ends in any case, seconds since 1970.
        admitted: Whether it has been told that there is room; else it may be asleep.
    """

    run: str
    execution: str = Field(min_length=1, max_length=256)
    ranks: int = Field(ge=1)
    until_s: float = Field(allow_inf_nan=False)
    admitted: bool = False


class Queue(Contract):
    """Runs in the order in which they asked."""

    version: Literal[1] = 1
    places: tuple[Place, ...] = Field(strict=False)


class Sleeper(Contract):
    """What an execution leaves before it waits: the token that wakes it."""

    token: str = Field(min_length=1, max_length=2048)


@dataclass(frozen=True)
class Ended:
    """An execution that has ended, and the bucket of its run."""

    bucket: str
    execution: str

    @classmethod
    def from_event(cls, event: dict[str, Any]) -> Self:
        """Read EventBridge's notification of an execution's end."""
        detail = event["detail"]
        return cls(json.loads(detail["input"])["bucket"], detail["executionArn"])


_ADAPTER = TypeAdapter(Queue)


def release(ended: Ended, store: Store, executions: SFNClient, capacity: int) -> tuple[str, ...]:
    """Take an ended execution out of the queue and wake those for which there is room now.

    Safe to repeat. The place is removed at once, without waiting for the execution's status, which
    Step Functions may report late: a run that is woken would then find the room still taken.

    Returns:
        The runs that were woken.

    Raises:
        InputError: S3 or Step Functions refuses for good, or the queue is damaged.
        TransientError: S3 or Step Functions failed.
    """
    left: tuple[Place, ...] = ()
    for swap in range(SWAPS):
        pause(swap)
        queue, etag = read(store, ended.bucket)
        left = tuple(place for place in queue.places if place.execution != ended.execution)
        if left == queue.places or swapped(store, ended.bucket, Queue(places=left), etag):
            break
    return wake(living(left, executions, capacity), ended.bucket, store, executions, capacity)


def wake(
    places: tuple[Place, ...], bucket: str, store: Store, executions: SFNClient, capacity: int
) -> tuple[str, ...]:
    """Wake the runs among the first places that have room and don't know it; those are returned."""
    sleeping = [place for place in fitting(places, capacity) if not place.admitted]
    return tuple(place.run for place in sleeping if _woken(place, bucket, store, executions))


def fitting(places: tuple[Place, ...], capacity: int) -> tuple[Place, ...]:
    """The places that have room beside all before them.

    The first one always fits: it may have more ranks than fit since the quota was lowered.
    """
    sums = accumulate(place.ranks for place in places)
    return tuple(
        p for i, (p, s) in enumerate(zip(places, sums, strict=True)) if not i or s <= capacity
    )


def sleeper_at(bucket: str, execution: str) -> Location:
    """Where an execution leaves its token; the state machine's definition says the same."""
    return Location(bucket, f"admission/waiting/{execution.rsplit(':', 1)[-1]}.json")


def _woken(place: Place, bucket: str, store: Store, executions: SFNClient) -> bool:
    at = sleeper_at(bucket, place.execution)
    token = _token(store, at)
    if not token:
        return False
    gone = (
        executions.exceptions.InvalidToken,
        executions.exceptions.TaskDoesNotExist,
        executions.exceptions.TaskTimedOut,
    )
    with translated(f"{place.execution} can't be woken"):
        try:
            executions.send_task_success(taskToken=token, output="{}")
        except gone:  # it looks by itself, or has been woken
            return False
    return True


def _token(store: Store, at: Location) -> str:
    found = store.get_current(at)
    try:
        return Sleeper.model_validate_json(found[0]).token if found else ""
    except ValidationError:
        # It holds up nobody: that run looks again by itself.
        log.warning("%s holds no task token", at.uri)
        return ""


def pause(swap: int) -> None:
    """Before another try of a compare-and-swap: longer each time, and never as long as others."""
    time.sleep(random.uniform(0, swap * SWAP_PAUSE_S))  # noqa: S311


def read(store: Store, bucket: str) -> tuple[Queue, str]:
    """The queue and its ETag; an empty one where there is none."""
    at = Location(bucket, QUEUE_KEY)
    found = store.get_current(at)
    if found is None:
        return Queue(places=()), ""
    text, etag = found
    return parsed(_ADAPTER.validate_json, text, at, EMPTY_IT), etag


def swapped(store: Store, bucket: str, wanted: Queue, etag: str) -> bool:
    """Whether the queue was still the one with that ETag, and is the wanted one now."""
    text = wanted.model_dump_json(indent=1).encode()
    return bool(store.replace(Location(bucket, QUEUE_KEY), text, etag))


def living(places: tuple[Place, ...], executions: SFNClient, capacity: int) -> tuple[Place, ...]:
    """The places whose runs go on; those far behind are not looked at yet."""
    found: list[Place] = []
    taken = 0
    for place in places:
        if taken < capacity and not _alive(place, executions):
            continue
        taken += place.ranks
        found.append(place)
    return tuple(found)


def _alive(place: Place, executions: SFNClient) -> bool:
    if place.until_s < time.time():
        return False
    try:
        with translated(f"{place.execution} can't be looked up"):
            found = executions.describe_execution(executionArn=place.execution)
    except InputError as error:
        if error.code == "no-execution":
            return False
        raise
    return found["status"] == "RUNNING"
