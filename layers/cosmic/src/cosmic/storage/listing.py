"""Listings of S3 that notice a damaged reply.

A reply that lists objects has no checksum. A flipped bit in it can change a key, or make a page
look like the last one, and nobody would notice what is missing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from cosmic.contracts.location import Location
from cosmic.errors import TransientError

if TYPE_CHECKING:
    from cosmic.storage.interfaces import Readable, StoredObject

LISTINGS = 5


def wrong_in(page: Mapping[str, Any], prefix: str) -> str:
    """What shows that a reply of `ListObjectsV2` was damaged on its way; else an empty string."""
    keys = [entry["Key"] for entry in page.get("Contents", [])]
    counted = page.get("KeyCount", len(keys))
    if counted != len(keys):
        return f"it counts {counted} objects and lists {len(keys)}"
    if bool(page.get("IsTruncated")) != bool(page.get("NextContinuationToken")):
        return "it doesn't say whether it is the last"
    foreign = next((key for key in keys if not key.startswith(prefix)), None)
    return "" if foreign is None else f"{foreign!r} doesn't begin with {prefix!r}"


def agreed_listing(store: Readable, at: Location) -> dict[str, StoredObject]:
    """The objects in a folder and below by key, once two listings name the same keys.

    Use it where nothing else shows that an object is missing; it takes twice as many requests.

    Raises:
        InputError: S3 refuses to list.
        TransientError: no two listings agree: something is being uploaded or deleted, or replies
            are damaged; or S3 failed.
    """
    seen: list[dict[str, StoredObject]] = []
    for _ in range(LISTINGS):
        found = {each.key: each for each in store.list(at)}
        if any(found.keys() == other.keys() for other in seen):
            return found
        seen.append(found)
    counts = ", ".join(str(len(found)) for found in seen)
    hint = "wait until all objects are uploaded, then submit again"
    message = f"{LISTINGS} listings of {at.folder.uri} all differ: {counts} objects"
    raise TransientError(message, hint=hint)
