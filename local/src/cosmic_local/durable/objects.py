"""Objects of S3 as files: a line that describes the object, then its bytes."""

from __future__ import annotations

import hashlib
import json
import string
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

from cosmic_local.durable.folder import Content, DataFolder
from cosmic_local.errors import DataError

KIND = "objects"


@dataclass(frozen=True)
class Description:
    """What an object is beside its bytes; names as in S3's API, ETag without quotes."""

    bucket: str
    key: str
    size: int
    etag: str
    version_id: str
    versioned: bool
    modified: str
    storage_class: str | None = None
    metadata: dict[str, str] = field(default_factory=dict)
    encryption: str | None = None
    kms_key_id: str | None = None
    checksum_algorithm: str | None = None
    checksum_value: str | None = None
    checksum_type: str | None = None
    checksum_parts: int | None = None


def encoded(description: Description, body: Iterable[bytes]) -> Iterator[bytes]:
    """An object as the blocks of its file."""
    yield json.dumps(asdict(description)).encode("ascii") + b"\n"
    yield from body


class ObjectFiles:
    """The objects in a folder of data."""

    def __init__(self, data: DataFolder) -> None:
        self._data = data

    def keep(self, bucket: str, key: str, content: Content) -> None:
        """Write an object as it is now, or remove it; as `DataFolder.keep`."""
        self._data.keep(KIND, f"{bucket}/{key}", content)

    def read(self) -> Iterator[tuple[Description, bytes]]:
        """All objects, one after the other.

        Raises:
            DataError: a file is damaged.
        """
        for path in self._data.files(KIND):
            yield _decoded(path)


def _decoded(path: Path) -> tuple[Description, bytes]:
    try:
        with path.open("rb") as stream:
            description = Description(**json.loads(stream.readline()))
            body = stream.read()
    except (OSError, ValueError, TypeError) as error:
        raise _damaged(path) from error
    if len(body) != description.size or not _has_etag(body, description.etag):
        raise _damaged(path)
    return description, body


def _has_etag(body: bytes, etag: str) -> bool:
    """Whether bytes have an ETag; that of an upload in parts says nothing about them."""
    if len(etag) != 32 or set(etag) - set(string.hexdigits):
        return True
    return hashlib.md5(body, usedforsecurity=False).hexdigest() == etag


def _damaged(path: Path) -> DataError:
    return DataError(
        f"{path} is damaged",
        hint="remove this file to go on without its object, or give another folder",
    )
