"""`withdraw`: a rank that can't take part says so, so that nobody waits for it."""

from __future__ import annotations

import time
from collections.abc import Mapping

from fmilib.channels.store import withdrawal as stored
from fmilib.channels.store.connect import open_store
from fmilib.config import Settings, asks_for_choice, candidates, settings
from fmilib.config import fallback as stand_in
from fmilib.connectivity import withdrawal as linked
from fmilib.wire.failure import MAX_WORDS


def withdraw(
    reason: str,
    rank: int | None = None,
    size: int | None = None,
    job: str | None = None,
    *,
    secret: bytes | None = None,
    rendezvous: str | None = None,
    generation: int | None = None,
    timeout_s: float | None = None,
    channel: str | None = None,
    store: str | None = None,
    fallback: str | None = None,
) -> None:
    """Say that this rank will never come to a job, so that nobody waits for it.

    Call it for a rank that fails before it has joined and won't be retried; a rank that has joined
    calls `Communicator.abort`. Ranks that wait in `connect`, or arrive within the next hour,
    whatever their generation, raise `Aborted` with this rank and the reason. In a job of one rank
    there is nobody to tell.

    Args:
        reason: why, in words; the first 1000 characters are told.
        rank, size, job, secret, rendezvous, generation, channel, store, fallback: as of `connect`.
        timeout_s: bound of telling (60).

    Raises:
        ValueError: an argument is missing or can't be.
        RendezvousError: the rendezvous or the store can't be reached in time, or said no: a newer
            attempt of this rank is there, or the other ranks say another size.
        AuthError: the rendezvous doesn't know this job's secret.
        StaleGeneration: a newer attempt of this rank is in the job.
    """
    given = {
        "rank": rank, "size": size, "job": job, "secret": secret, "rendezvous": rendezvous,
        "generation": generation, "timeout_s": timeout_s, "channel": channel, "store": store,
        "fallback": fallback,
    }  # fmt: skip
    found = _first_met(given)
    if found.size > 1:
        _announce(found, reason[:MAX_WORDS], time.monotonic() + found.timeout_s)


def _first_met(given: Mapping[str, object]) -> Settings:
    """Return where all ranks of a job meet first: one that fails there goes nowhere else."""
    if asks_for_choice(given):
        return candidates(given)[0]
    found, stored_first = settings(given), stand_in(given)
    return stored_first if stored_first and found.channel == "direct" else found


def _announce(found: Settings, reason: str, until: float) -> None:
    if found.channel == "direct":
        linked.announce(found, reason, until)
        return
    store = open_store(found)
    try:
        stored.announce(found, store, reason, until)
    finally:
        store.close()
