"""Read a model to learn its SHA-256, against which every rank will check it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

from cosmic.contracts.location import Location
from cosmic.data.checkpoint_header import check_start
from cosmic.errors import InputError, TransientError
from cosmic.storage.etag import ETagCheck
from cosmic.storage.interfaces import Readable, StoredObject

HASHED_BYTES = 8 << 20  # at a time
READINGS = 4


@dataclass(frozen=True)
class Checkpoint:
    """What was read of a model.

    Attributes:
        sha256: Of the whole file.
        metadata: The checkpoint's.
    """

    sha256: str
    metadata: dict[str, str]


@dataclass(frozen=True)
class _Reading:
    sha256: str = ""
    metadata: dict[str, str] = field(default_factory=dict)
    believed: bool = False
    refused: InputError | None = None

    @property
    def result(self) -> str:
        """What another reading has to come to for both to be believed."""
        return str(self.refused) if self.refused else self.sha256


def read_checkpoint(
    store: Readable, at: Location, head: StoredObject, wanted: str | None
) -> Checkpoint:
    """Read a file piece by piece, again if it may have been damaged on its way.

    What was read is trusted if it has the checksum that the manifest gives, or agrees with the
    ETag. If neither is so, because the file is another one or its ETag is not a hash of its bytes,
    it is trusted once it has been read twice with the same result.

    Args:
        store: Where it is.
        at: Its place.
        head: Its size and ETag.
        wanted: The SHA-256 that the manifest gives, if it does.

    Raises:
        InputError: it doesn't begin like a checkpoint.
        TransientError: no two readings agree.
    """
    seen: set[str] = set()
    for _ in range(READINGS):
        reading = _read(store, at, head)
        if reading.believed or reading.sha256 == wanted or reading.result in seen:
            if reading.refused is not None:
                raise reading.refused
            return Checkpoint(reading.sha256, reading.metadata)
        seen.add(reading.result)
    message = f"{at.uri}: {READINGS} readings gave {READINGS} different files"
    raise TransientError(message, code="bad-checksum", hint="it was damaged in transit; try again")


def _read(store: Readable, at: Location, head: StoredObject) -> _Reading:
    digest, etag, metadata = hashlib.sha256(), ETagCheck(head.etag, head.bytes), dict[str, str]()
    piece = memoryview(bytearray(min(HASHED_BYTES, head.bytes)))
    for offset in range(0, max(head.bytes, 1), HASHED_BYTES):
        target = piece[: min(HASHED_BYTES, head.bytes - offset)]
        if head.bytes:
            store.read_into(target, at, offset, etag=head.etag)
        if offset == 0:
            try:
                metadata = check_start(target, head.bytes)
            except InputError as refused:
                return _Reading(refused=refused, believed=not etag.possible)
        digest.update(target)
        etag.update(target)
    believed = etag.matches or not etag.possible
    return _Reading(digest.hexdigest(), metadata, believed)
