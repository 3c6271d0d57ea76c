"""What is needed to read and write a run's objects, in S3 or in what stands in for it.

It is separate from `objects`, which imports boto3: work in a local folder needs no boto3.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol, Self

from cosmic.contracts.contract import RequestPayer
from cosmic.contracts.location import Location

JSON = "application/json"


class Requests(NamedTuple):
    """Requests made: reads (GET, HEAD) and writes (PUT, LIST), which AWS bills apart."""

    reads: int
    writes: int

    def since(self, before: Requests) -> Requests:
        """Those that were made after `before` was taken."""
        return Requests(self.reads - before.reads, self.writes - before.writes)


@dataclass(frozen=True)
class StoredObject:
    """What S3 says of an object: key, size in bytes and ETag."""

    key: str
    bytes: int
    etag: str


class Readable(Protocol):
    """What is needed to read a run's input, in S3 or in what stands in for it.

    Every method raises `InputError` where the object is not there, and `TransientError` where
    reading it may succeed another time.
    """

    def get(self, at: Location) -> bytes:
        """A whole object."""
        ...

    def get_range(self, at: Location, offset: int, length: int, *, etag: str) -> bytes:
        """`length` bytes from `offset` of the object as it was when it had this ETag."""
        ...

    def read_into(self, target: memoryview, at: Location, offset: int, *, etag: str) -> None:
        """Fill `target` with the bytes from `offset` of the object as it was with this ETag."""
        ...

    def head(self, at: Location) -> StoredObject:
        """Size and ETag of an object."""
        ...

    def list(self, at: Location) -> Iterator[StoredObject]:
        """All objects in a folder and below, never those of a folder whose name goes on."""
        ...

    def keys_beginning(self, at: Location, most: int) -> Sequence[str]:
        """The first keys that begin as this one does, `at` itself among them."""
        ...

    def paid_by(self, payer: RequestPayer | None) -> Self:
        """The same objects, every read of which says who pays for it."""
        ...


class Output(Protocol):
    """Where a file goes: written from its beginning to its end, but for some bytes at its start."""

    def write(self, data: Any, /) -> int:
        """Append bytes."""
        ...

    def write_start(self, data: bytes) -> None:
        """Replace the first bytes, which have been written before."""
        ...


class ResultWriter(Output, Protocol):
    """A file for the user, written piece by piece; it appears once it is complete."""

    @property
    def begun(self) -> bool:
        """Whether it can appear under the name alone that was given first."""
        ...

    def send_all(self) -> None:
        """Do all that can be done before it appears."""
        ...

    def commit(self, at: Location) -> None:
        """Make it appear."""
        ...

    def discard(self) -> None:
        """Leave nothing of it, unless it was committed."""
        ...


class Writable(Readable, Protocol):
    """What is needed to store a run's objects, in S3 or in what stands in for it.

    Every method raises `InputError` where the place refuses, and `TransientError` where it may
    succeed another time.
    """

    @property
    def requests(self) -> Requests:
        """Requests made so far."""
        ...

    def get_current(self, at: Location) -> tuple[bytes, str] | None:
        """A small object and the ETag that it has; None if it is not there."""
        ...

    def put(
        self, at: Location, body: bytes, content_type: str = "application/octet-stream"
    ) -> None:
        """Write an object; readers see the old one or the whole new one."""
        ...

    def put_json(self, at: Location, document: Any) -> None:
        """Write a JSON object, keys in the order given."""
        ...

    def put_json_list(
        self, at: Location, document: Mapping[str, Any], name: str, items: Iterable[Any]
    ) -> None:
        """Write a JSON object whose last member lists many items, of which few are in memory."""
        ...

    def put_once(self, at: Location, body: bytes) -> bool:
        """Write a JSON object unless there is one already; says whether it was written."""
        ...

    def replace(self, at: Location, body: bytes, etag: str, content_type: str = JSON) -> str:
        """Write an object if it still has this ETag; returns the new one, or nothing."""
        ...

    def get_described(self, at: Location) -> tuple[bytes, dict[str, str]]:
        """A whole object, and what was said of it when it was uploaded."""
        ...

    def writer(self, at: Location) -> ResultWriter:
        """What writes an object piece by piece; it appears when it is whole."""
        ...

    def upload(self, path: Path, at: Location, metadata: Mapping[str, str] | None = None) -> None:
        """Make a file an object; it appears when it is whole."""
        ...

    def download(self, at: Location, path: Path) -> None:
        """Copy an object into a file, which appears when it is whole."""
        ...

    def delete(self, at: Location) -> None:
        """Delete an object; one that is not there is no error."""
        ...

    def mark_scratch(self, at: Location) -> None:
        """Say of an object that it may be removed."""
        ...
