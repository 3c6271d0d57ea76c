"""A rank that won't come, as the others of its job learn of it in a store.

The notice takes the place of the record that all of them look at anyway until the job has formed,
so nobody reads more for it.
"""

from __future__ import annotations

import secrets
import time

from fmilib.channels.store.base import KEEP_S, LEAD, MEMORY_S, Store
from fmilib.channels.store.crypto import Record, seal, unseal
from fmilib.config import Settings
from fmilib.errors import StaleGeneration, Timeout
from fmilib.wire import failure
from fmilib.wire.failure import FailureReport


def announce(settings: Settings, store: Store, reason: str, until: float) -> None:
    """Leave word that this rank won't come; the first such notice counts.

    Args:
        settings: this rank's.
        store: where the ranks meet.
        reason: why, in words.
        until: `time.monotonic()` seconds at which to give up.

    Raises:
        StaleGeneration: a newer attempt of this rank is in the job.
        RendezvousError: the store can't be used.
        Timeout: others kept writing.
    """
    report = FailureReport("aborted", settings.rank, reason)
    _respect_newer(settings, store)
    while True:
        seen = store.read(LEAD)
        before = unseal(settings.secret, LEAD, seen) or {"members": []}
        if heard(before):
            return
        older = _is_in_by_older(settings, before)
        if store.swap(LEAD, seen, _notice(settings, report)):
            break
        if time.monotonic() > until:
            raise Timeout("withdraw", ())
    if older:
        alarm = seal(settings.secret, "alarm", report.message())
        store.ring(before["epoch"], len(before["members"]), alarm)


def heard(record: Record) -> FailureReport | None:
    """Return what a record says of a rank that won't come; None if it doesn't, or is too old."""
    if not record.get("withdrawn") or time.time() - record["at"] >= KEEP_S:
        return None
    return failure.read(record.get("failed"))


def _notice(settings: Settings, report: FailureReport) -> bytes:
    record = {
        "at": time.time(), "instance": secrets.token_hex(16), "members": [],
        "failed": report.message(), "withdrawn": True,
    }  # fmt: skip
    return seal(settings.secret, LEAD, record)


def _respect_newer(settings: Settings, store: Store) -> None:
    """Give way to a newer attempt of this rank that waits for the forming."""
    record = unseal(settings.secret, "attempt", store.read(f"attempt-{settings.rank}"))
    if record:
        _give_way(settings, int(record["generation"]), record)


def _is_in_by_older(settings: Settings, record: Record) -> bool:
    """Return whether the job has formed with an earlier attempt of this rank."""
    members, mine = record["members"], settings.generation
    if settings.rank >= len(members):
        return False
    theirs = int(members[settings.rank][0])
    _give_way(settings, theirs, record)
    return theirs < mine


def _give_way(settings: Settings, newest: int, record: Record) -> None:
    if newest > settings.generation and time.time() - record["at"] < MEMORY_S:
        raise StaleGeneration(settings.generation, newest)
