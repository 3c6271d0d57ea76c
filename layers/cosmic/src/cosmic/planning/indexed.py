"""What the index of a data set says about its partitions, if their objects haven't changed."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import ValidationError

from cosmic.contracts.location import Location
from cosmic.data.dataset_index import INDEX_NAME, MOST_BYTES, IndexedPartition, parse_index
from cosmic.errors import InputError
from cosmic.storage.interfaces import Readable, StoredObject

Known = dict[str, IndexedPartition]


def is_index(key: str) -> bool:
    """Whether a key is that of an index."""
    return key.rpartition("/")[2] == INDEX_NAME


def known_partitions(
    store: Readable, bucket: str, objects: Mapping[str, StoredObject]
) -> tuple[Known, list[str]]:
    """Partitions by key, of all indices among the objects; and warnings of those that are damaged.

    Raises:
        TransientError: S3 failed.
    """
    known: Known = {}
    warnings: list[str] = []
    for key in filter(is_index, objects):
        at = Location(bucket, key)
        try:
            known |= _read(store, at, objects)
        except (InputError, ValidationError) as error:
            why = str(error).splitlines()[0]
            warnings.append(f"{at.uri} can't be read, so each partition's header was: {why}")
    return known, warnings


def _read(store: Readable, at: Location, objects: Mapping[str, StoredObject]) -> Known:
    if objects[at.key].bytes > MOST_BYTES:
        raise InputError(f"{objects[at.key].bytes} bytes long", code="too-large")
    folder = at.key.removesuffix(INDEX_NAME)
    entries = {folder + p.name: p for p in parse_index(store.get(at)).partitions}
    return {key: p for key, p in entries.items() if key in objects and _is(objects[key], p)}


def _is(found: StoredObject, partition: IndexedPartition) -> bool:
    return found.bytes == partition.bytes and found.etag.strip('"') in partition.etags
