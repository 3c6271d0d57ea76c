"""Partitions that have changed since a run was planned: its ranks refuse to read them."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

from cosmic.contracts.location import Location
from cosmic.contracts.plan import Plan, PlannedPartition
from cosmic.errors import InputError
from cosmic.storage.interfaces import Readable

THREADS = 16
MOST_SHOWN = 10


def refuse_changed(store: Readable, plan: Plan, ranks: Iterable[int]) -> None:
    """Refuse to compute ranks all of which read a partition that has changed.

    As long as one of them can be computed, the run is worth resuming: it may tolerate that the
    others are missing.

    Raises:
        InputError: none of the ranks can be computed; names the partitions and both ETags.
        TransientError: S3 failed.
    """
    read = {rank: {s.partition for s in plan.ranks[rank].slices} for rank in ranks}
    wanted, store = sorted(set().union(*read.values())), store.paid_by(plan.request_payer)
    with ThreadPoolExecutor(THREADS) as pool:
        found = pool.map(lambda index: _etag(store, plan.partitions[index]), wanted)
        now = {
            index: etag
            for index, etag in zip(wanted, found, strict=True)
            if etag not in (None, plan.partitions[index].etag)
        }
    if not now or not all(indices & now.keys() for indices in read.values()):
        return
    changes = [
        f"{Location(p.bucket, p.key).uri} had the ETag {p.etag} and has {etag} now"
        for p, etag in ((plan.partitions[index], etag) for index, etag in now.items())
    ]
    more = f"; and {len(changes) - MOST_SHOWN} more" if len(changes) > MOST_SHOWN else ""
    message = f"partitions have changed since {plan.run} was planned: "
    hint = "submit the manifest again: a new run reads them as they are now"
    raise InputError(
        message + "; ".join(changes[:MOST_SHOWN]) + more, code="input-changed", hint=hint
    )


def _etag(store: Readable, planned: PlannedPartition) -> str | None:
    """A partition's ETag; None if it is gone, or the client may not look where functions may."""
    try:
        return store.head(Location(planned.bucket, planned.key)).etag
    except InputError:
        return None
