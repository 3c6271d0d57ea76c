"""S3 as the product uses it: ranged reads, conditional writes, paginated listings."""

from __future__ import annotations

import copy
import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, Self, TypedDict

from botocore.config import Config
from botocore.response import StreamingBody
from pydantic_core import to_json

from cosmic.contracts.contract import RequestPayer
from cosmic.contracts.location import Location
from cosmic.errors import CosmicError, InputError, TransientError
from cosmic.storage.aws_errors import AWS_FAILURES, UNREADABLE, as_cosmic_error, translated
from cosmic.storage.clients import aws_client
from cosmic.storage.etag import UPLOAD_PART_BYTES
from cosmic.storage.interfaces import JSON, Requests, ResultWriter, StoredObject
from cosmic.storage.json_text import listed
from cosmic.storage.listing import wrong_in
from cosmic.storage.multipart import ObjectWriter

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client
    from types_boto3_s3.type_defs import ListObjectsV2OutputTypeDef


GET_ATTEMPTS = 3
RANGE_ATTEMPTS = 5
LIST_ATTEMPTS = 4
CONFLICT_ATTEMPTS = 4
RESUME_PAUSE_S = 0.1
STEP_BYTES = 64 << 10  # what is kept of a reply that breaks off is whole steps


def s3_client() -> S3Client:
    """An S3 client whose waits are bounded and whose connections suffice for our threads."""
    config = Config(
        max_pool_connections=32,
        connect_timeout=5,
        read_timeout=30,
        retries={"mode": "standard", "max_attempts": 5},
    )
    client: S3Client = aws_client("s3", config)
    return client


class _RequestCounter:
    """Counts the requests of a store and of its copies, from any thread."""

    def __init__(self) -> None:
        self._reads, self._writes = 0, 0
        self._lock = Lock()

    @property
    def total(self) -> Requests:
        with self._lock:
            return Requests(self._reads, self._writes)

    def add(self, reads: int = 0, writes: int = 0) -> None:
        with self._lock:
            self._reads += reads
            self._writes += writes


class _Payer(TypedDict, total=False):
    """The parameter of every read that says who pays."""

    RequestPayer: RequestPayer


class _Described(TypedDict, total=False):
    """The parameter of an upload that says something of the object."""

    Metadata: Mapping[str, str]


class _From(TypedDict, total=False):
    """The parameter of a listing that goes on."""

    ContinuationToken: str


class _Match(TypedDict, total=False):
    """The parameter of a read that wants one version of an object."""

    IfMatch: str


class Store:
    """Objects in S3.

    Every method raises `InputError` where S3 or its client refuses the call for good, and
    `TransientError` where S3 or the network failed beyond the client's own retries.
    """

    def __init__(self, client: S3Client) -> None:
        self._s3 = client
        self._counter = _RequestCounter()
        self._count = self._counter.add
        self._payer = _Payer()

    @property
    def requests(self) -> Requests:
        """Requests made so far, those of `paid_by` included."""
        return self._counter.total

    def paid_by(self, payer: RequestPayer | None) -> Self:
        """The same objects, every read of which says who pays for it.

        Buckets that are not Requester Pays take no notice of it.
        """
        paid = copy.copy(self)
        paid._payer = _Payer(RequestPayer=payer) if payer else _Payer()
        return paid

    def get(self, at: Location, *, version_id: str | None = None, most: int | None = None) -> bytes:
        """A whole object, of one version if given; read again where a reply breaks off.

        Raises:
            InputError: it has more than `most` bytes, if that is given; nothing is read then.
        """
        return self._get(at, version_id, most)[0]

    def get_described(self, at: Location) -> tuple[bytes, dict[str, str]]:
        """A whole object, and the metadata that it was uploaded with."""
        return self._get(at, None, None)

    def _get(
        self, at: Location, version_id: str | None, most: int | None
    ) -> tuple[bytes, dict[str, str]]:
        broken = ""
        for attempt in range(GET_ATTEMPTS):
            time.sleep(attempt * RESUME_PAUSE_S)
            self._count(reads=1)
            with translated(at.uri):
                if version_id:
                    reply = self._s3.get_object(
                        Bucket=at.bucket, Key=at.key, VersionId=version_id, **self._payer
                    )
                else:
                    reply = self._s3.get_object(Bucket=at.bucket, Key=at.key, **self._payer)
            size = reply.get("ContentLength", 0)
            if most is not None and size > most:
                reply["Body"].close()
                raise _too_large(at, size, most)
            try:
                return reply["Body"].read(), reply.get("Metadata", {})
            except AWS_FAILURES as error:
                broken = _broken_off(at, error)
        raise TransientError(f"{at.uri}: broke off {GET_ATTEMPTS} times: {broken}")

    def get_range(self, at: Location, offset: int, length: int, *, etag: str) -> bytes:
        """`length` bytes from `offset` of the object as it was when it had this ETag.

        An empty ETag stands for whatever the object is now.
        """
        data = bytearray(length)
        self.read_into(memoryview(data), at, offset, etag=etag)
        return bytes(data)

    def read_into(self, target: memoryview, at: Location, offset: int, *, etag: str) -> None:
        """Fill `target` with the bytes from `offset` of the object as it was with this ETag.

        A reply that breaks off in the middle is resumed where it broke, a few times; one of
        another range is not believed, and asked for again.
        """
        done, broken = 0, ""
        for attempt in range(RANGE_ATTEMPTS):
            if done == len(target):
                return
            time.sleep(attempt * RESUME_PAUSE_S)
            body, broken = self._open_range(at, offset + done, len(target) - done, etag)
            if broken:
                body.close()
                continue
            try:
                for got in _fill(target[done:], body):
                    done += got
            except AWS_FAILURES as error:
                broken = _broken_off(at, error)
            finally:
                body.close()
        if done < len(target):
            message = f"{at.uri}: only {done} of {len(target)} bytes from {offset} came"
            raise TransientError(f"{message} in {RANGE_ATTEMPTS} attempts: {broken}")

    def _open_range(
        self, at: Location, offset: int, length: int, etag: str
    ) -> tuple[StreamingBody, str]:
        """A reply, and what is wrong with it if it is not of the range asked for."""
        self._count(reads=1)
        asked = f"{offset}-{offset + length - 1}"
        match = _Match(IfMatch=etag) if etag else _Match()
        with translated(at.uri):
            reply = self._s3.get_object(
                Bucket=at.bucket, Key=at.key, Range=f"bytes={asked}", **match, **self._payer
            )
        got = reply.get("ContentRange")
        right = got is not None and got.startswith(f"bytes {asked}/")
        return reply["Body"], "" if right else f"asked for bytes {asked}, got {got}"

    def head(self, at: Location) -> StoredObject:
        """Size and ETag of an object."""
        self._count(reads=1)
        try:
            with translated(at.uri):
                reply = self._s3.head_object(Bucket=at.bucket, Key=at.key, **self._payer)
        except InputError as error:
            raise self._in_words(at, error) from error
        return StoredObject(at.key, reply["ContentLength"], reply["ETag"])

    def _in_words(self, at: Location, refused: InputError) -> CosmicError:
        """Why S3 refuses a HEAD, whose reply is a number alone: a GET is refused with the reason.

        A missing bucket and a missing key are both 404, a disabled KMS key is a mere 400.
        """
        self._count(reads=1)
        try:
            with translated(at.uri):
                reply = self._s3.get_object(
                    Bucket=at.bucket, Key=at.key, Range="bytes=0-0", **self._payer
                )
                reply["Body"].close()
        except CosmicError as error:
            return error
        return refused

    def list(self, at: Location) -> Iterator[StoredObject]:
        """All objects in a folder and below, however many there are."""
        return self._list_prefix(at.folder)

    def keys_beginning(self, at: Location, most: int) -> Sequence[str]:
        """The first keys that begin as this one does, `at` itself among them."""
        return [found.key for found in islice(self._list_prefix(at), most)]

    def _list_prefix(self, at: Location) -> Iterator[StoredObject]:
        token = _From()
        while True:
            page = self._page(at, token)
            for entry in page.get("Contents", []):
                yield StoredObject(entry["Key"], entry["Size"], entry["ETag"])
            if not page.get("IsTruncated"):
                return
            token = _From(ContinuationToken=page["NextContinuationToken"])

    def _page(self, at: Location, token: _From) -> ListObjectsV2OutputTypeDef:
        """A page of a listing; one that was damaged on its way is asked for again."""
        wrong = ""
        for attempt in range(LIST_ATTEMPTS):
            time.sleep(attempt * RESUME_PAUSE_S)
            self._count(writes=1)
            try:
                page = self._s3.list_objects_v2(
                    Bucket=at.bucket, Prefix=at.key, **token, **self._payer
                )
                wrong = wrong_in(page, at.key)
            except UNREADABLE as error:
                wrong = str(error)
            except AWS_FAILURES as error:
                raise as_cosmic_error(at.uri, error) from error
            if not wrong:
                return page
        message = f"{at.uri}: the reply to a listing was damaged {LIST_ATTEMPTS} times: {wrong}"
        raise TransientError(message)

    def put(
        self, at: Location, body: bytes, content_type: str = "application/octet-stream"
    ) -> None:
        """Write an object; readers see the old one or the whole new one."""
        self._count(writes=1)
        with translated(at.uri):
            self._s3.put_object(Bucket=at.bucket, Key=at.key, Body=body, ContentType=content_type)

    def put_version(self, at: Location, body: bytes) -> str:
        """Write a JSON object to a bucket with versions.

        Returns:
            The new version's id.
        """
        self._count(writes=1)
        with translated(at.uri):
            reply = self._s3.put_object(Bucket=at.bucket, Key=at.key, Body=body, ContentType=JSON)
        return reply["VersionId"]

    def put_once(self, at: Location, body: bytes) -> bool:
        """Write a JSON object unless there is one already; says whether it was written."""
        return bool(self._put_if(at, body, ""))

    def get_current(self, at: Location) -> tuple[bytes, str] | None:
        """A small object and the ETag that it has; None if it is not there."""
        self._count(reads=1)
        try:
            with translated(at.uri):
                reply = self._s3.get_object(Bucket=at.bucket, Key=at.key, **self._payer)
                return reply["Body"].read(), reply["ETag"]
        except InputError as error:
            if error.code == "not-found":
                return None
            raise

    def replace(self, at: Location, body: bytes, etag: str, content_type: str = JSON) -> str:
        """Write an object if it still has this ETag; "": if it is still not there.

        The reply to a write may be lost: the client then writes again and is refused, because
        of its own first write. What is refused is therefore read back before it counts as
        another's.

        Returns:
            Its new ETag if it was written, or an empty string.
        """
        written = self._put_if(at, body, etag, content_type)
        if written:
            return written
        found = self.get_current(at)
        return found[1] if found and found[0] == body else ""

    def _put_if(self, at: Location, body: bytes, etag: str, content_type: str = JSON) -> str:
        """One conditional write; a 409 to one of two at the same moment is asked again."""
        put = partial(
            self._s3.put_object,
            Bucket=at.bucket,
            Key=at.key,
            Body=body,
            ContentType=content_type,
        )
        for attempt in range(CONFLICT_ATTEMPTS):
            time.sleep(attempt * RESUME_PAUSE_S)
            self._count(writes=1)
            try:
                with translated(at.uri):
                    return (put(IfMatch=etag) if etag else put(IfNoneMatch="*"))["ETag"]
            except InputError as error:
                if error.code == "precondition-failed":
                    return ""
                raise
            except TransientError as error:
                if error.code != "conflict":
                    raise
                conflict = error
        raise conflict

    def delete(self, at: Location) -> None:
        """Delete an object; one that is not there is no error."""
        self._count(writes=1)
        with translated(at.uri):
            self._s3.delete_object(Bucket=at.bucket, Key=at.key)

    def mark_scratch(self, at: Location) -> None:
        """Tag an object as one that the bucket's lifecycle may remove."""
        self._count(writes=1)
        with translated(at.uri):
            self._s3.put_object_tagging(
                Bucket=at.bucket,
                Key=at.key,
                Tagging={"TagSet": [{"Key": "cosmic", "Value": "scratch"}]},
            )

    def put_json(self, at: Location, document: Any) -> None:
        """Write a JSON object, keys in the order given.

        Raises:
            ValueError: it holds an infinity or NaN, which JSON doesn't have.
        """
        self.put(at, _json_text(document), JSON)

    def put_json_list(
        self, at: Location, document: Mapping[str, Any], name: str, items: Iterable[Any]
    ) -> None:
        """Write a JSON object whose last member lists many items, of which few are in memory.

        Raises:
            ValueError: something holds an infinity or NaN, which JSON doesn't have.
        """
        with ObjectWriter(self._s3, at, self._count_writes, JSON) as writer:
            for piece in listed(_json_text, document, name, items):
                writer.write(piece)
            writer.send_all()
            writer.commit(at)

    def writer(self, at: Location) -> ResultWriter:
        """What writes an object piece by piece; it appears when it is whole."""
        return ObjectWriter(self._s3, at, self._count_writes)

    def _count_writes(self, writes: int) -> None:
        self._count(writes=writes)

    def upload(
        self,
        path: Path,
        at: Location,
        metadata: Mapping[str, str] | None = None,
        seen: Callable[[int], None] | None = None,
    ) -> None:
        """Upload a file, in parts where it is large; it appears when it is whole.

        Args:
            metadata: What is said of the object beside its bytes.
            seen: Called with the bytes of each piece that has been sent.
        """
        arguments = _Described(Metadata=metadata) if metadata else _Described()
        parts = 1 + path.stat().st_size // UPLOAD_PART_BYTES
        self._count(writes=parts if parts == 1 else parts + 2)
        if parts == 1 and seen is None:
            with translated(at.uri), path.open("rb") as body:
                self._s3.put_object(Bucket=at.bucket, Key=at.key, Body=body, **arguments)
            return
        from cosmic.storage.transfers import upload

        upload(self._s3, path, at, arguments, seen)

    def metadata(self, at: Location) -> dict[str, str]:
        """What was said of an object when it was uploaded."""
        self._count(reads=1)
        try:
            with translated(at.uri):
                return self._s3.head_object(Bucket=at.bucket, Key=at.key)["Metadata"]
        except InputError as error:
            raise self._in_words(at, error) from error

    def download(self, at: Location, path: Path) -> None:
        """Download an object into a file, in parts if large; it appears when it is whole."""
        from cosmic.storage.transfers import download

        beside = path.with_name(path.name + ".part")
        self._count(reads=1)
        try:
            download(self._s3, at, beside, self._payer)
            beside.replace(path)
        except InputError as error:
            raise self._in_words(at, error) from error  # it asks for the size by HEAD first
        finally:
            beside.unlink(missing_ok=True)


def _fill(target: memoryview, body: StreamingBody) -> Iterator[int]:
    """Read a reply into `target` step by step; says how many bytes each step brought."""
    done = 0
    while done < len(target):
        got = body.readinto(target[done : done + STEP_BYTES])  # type: ignore[arg-type]  # its stub errs
        if got == 0:
            return
        yield got
        done += got
    body.read()  # nothing is left, but what checks length and checksum wants to see the end


def _json_text(document: Any) -> bytes:
    json.dumps(document, allow_nan=False)
    return to_json(document, indent=1)


def _broken_off(at: Location, error: Exception) -> str:
    """What ended a reply in the middle, if it may be asked for again."""
    found = as_cosmic_error(at.uri, error)
    if isinstance(found, InputError):
        raise found from error
    return str(error)


def _too_large(at: Location, size: int, most: int) -> InputError:
    return InputError(f"{at.uri} is {size} bytes long, at most {most} are read", code="too-large")
