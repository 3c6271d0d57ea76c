"""S3 as the product uses it: ranged reads, conditional writes, paginated listings."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.response import StreamingBody

from cosmic.errors import InputError, TransientError

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client


UPLOAD_PART_BYTES = 8 << 20
GET_ATTEMPTS = 3
RANGE_ATTEMPTS = 5
RESUME_PAUSE_S = 0.1
STEP_BYTES = 64 << 10  # what is kept of a reply that breaks off is whole steps


class Location(NamedTuple):
    """A bucket and a key (or a prefix)."""

    bucket: str
    key: str

    @property
    def uri(self) -> str:
        """As `s3://bucket/key`."""
        return f"s3://{self.bucket}/{self.key}"


@dataclass(frozen=True)
class StoredObject:
    """What S3 says of an object: key, size in bytes and ETag."""

    key: str
    bytes: int
    etag: str


class Readable(Protocol):
    """What reading a run's input takes, of S3 or of what stands in for it.

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
        """All objects under a prefix."""
        ...


def parse_uri(uri: str) -> Location:
    """Split `s3://bucket/key`.

    Raises:
        ValueError: the text is not an S3 URI.
    """
    scheme, _, rest = uri.partition("://")
    bucket, _, key = rest.partition("/")
    if scheme != "s3" or not bucket:
        raise ValueError(f"{uri!r} is not of the form s3://bucket/key")
    return Location(bucket, key)


def s3_client() -> S3Client:
    """An S3 client whose waits are bounded and whose connections suffice for our threads."""
    config = Config(
        max_pool_connections=32,
        connect_timeout=5,
        read_timeout=30,
        retries={"mode": "standard", "max_attempts": 5},
    )
    return boto3.client("s3", config=config)


class Requests(NamedTuple):
    """Requests made: reads (GET, HEAD) and writes (PUT, LIST), which AWS bills apart."""

    reads: int
    writes: int


class Store:
    """Objects in S3.

    Every method raises `InputError` where the object, the bucket or the permission is not there,
    and `TransientError` where S3 or the network failed beyond the client's own retries.
    """

    def __init__(self, client: S3Client) -> None:
        self._s3 = client
        self._reads, self._writes = 0, 0
        self._lock = Lock()

    @property
    def requests(self) -> Requests:
        """Requests made so far."""
        with self._lock:
            return Requests(self._reads, self._writes)

    def _count(self, reads: int = 0, writes: int = 0) -> None:
        with self._lock:
            self._reads += reads
            self._writes += writes

    def get(self, at: Location, *, version_id: str | None = None) -> bytes:
        """A whole object, of one version if given; read again where a reply breaks off."""
        broken = ""
        for attempt in range(GET_ATTEMPTS):
            time.sleep(attempt * RESUME_PAUSE_S)
            self._count(reads=1)
            with _translated(at):
                if version_id:
                    reply = self._s3.get_object(Bucket=at.bucket, Key=at.key, VersionId=version_id)
                else:
                    reply = self._s3.get_object(Bucket=at.bucket, Key=at.key)
            try:
                return reply["Body"].read()
            except BotoCoreError as error:
                broken = str(error)
        raise TransientError(f"{at.uri}: broke off {GET_ATTEMPTS} times: {broken}")

    def get_range(self, at: Location, offset: int, length: int, *, etag: str) -> bytes:
        """`length` bytes from `offset` of the object as it was when it had this ETag."""
        data = bytearray(length)
        self.read_into(memoryview(data), at, offset, etag=etag)
        return bytes(data)

    def read_into(self, target: memoryview, at: Location, offset: int, *, etag: str) -> None:
        """Fill `target` with the bytes from `offset` of the object as it was with this ETag.

        A reply that breaks off in the middle is resumed where it broke, a few times.
        """
        done, broken = 0, ""
        for attempt in range(RANGE_ATTEMPTS):
            if done == len(target):
                return
            time.sleep(attempt * RESUME_PAUSE_S)
            body = self._open_range(at, offset + done, len(target) - done, etag)
            try:
                for got in _fill(target[done:], body):
                    done += got
            except BotoCoreError as error:
                broken = str(error)
            finally:
                body.close()
        if done < len(target):
            message = f"{at.uri}: only {done} of {len(target)} bytes from {offset} came"
            raise TransientError(f"{message} in {RANGE_ATTEMPTS} attempts: {broken}")

    def _open_range(self, at: Location, offset: int, length: int, etag: str) -> StreamingBody:
        self._count(reads=1)
        asked = f"bytes {offset}-{offset + length - 1}/"
        with _translated(at):
            reply = self._s3.get_object(
                Bucket=at.bucket, Key=at.key, Range=asked[:-1].replace(" ", "="), IfMatch=etag
            )
        if not reply.get("ContentRange", "").startswith(asked):
            reply["Body"].close()
            raise TransientError(
                f"{at.uri}: asked for {asked[:-1]}, got {reply.get('ContentRange')}"
            )
        return reply["Body"]

    def head(self, at: Location) -> StoredObject:
        """Size and ETag of an object."""
        self._count(reads=1)
        with _translated(at):
            reply = self._s3.head_object(Bucket=at.bucket, Key=at.key)
            return StoredObject(at.key, reply["ContentLength"], reply["ETag"])

    def list(self, at: Location) -> Iterator[StoredObject]:
        """All objects under a prefix, however many there are."""
        pages = self._s3.get_paginator("list_objects_v2").paginate(Bucket=at.bucket, Prefix=at.key)
        with _translated(at):
            for page in pages:
                self._count(writes=1)
                for entry in page.get("Contents", []):
                    yield StoredObject(entry["Key"], entry["Size"], entry["ETag"])

    def put(
        self, at: Location, body: bytes, content_type: str = "application/octet-stream"
    ) -> None:
        """Write an object; readers see the old one or the whole new one."""
        self._count(writes=1)
        with _translated(at):
            self._s3.put_object(Bucket=at.bucket, Key=at.key, Body=body, ContentType=content_type)

    def put_version(self, at: Location, body: bytes) -> str:
        """Write a JSON object to a bucket with versions.

        Returns:
            The new version's id.
        """
        self._count(writes=1)
        with _translated(at):
            reply = self._s3.put_object(
                Bucket=at.bucket, Key=at.key, Body=body, ContentType="application/json"
            )
        return reply["VersionId"]

    def put_once(self, at: Location, body: bytes) -> bool:
        """Write a JSON object unless there is one already; says whether it was written."""
        return bool(self.replace(at, body, ""))

    def get_current(self, at: Location) -> tuple[bytes, str] | None:
        """A small object and the ETag that it has; None if it is not there."""
        self._count(reads=1)
        try:
            with _translated(at):
                reply = self._s3.get_object(Bucket=at.bucket, Key=at.key)
                return reply["Body"].read(), reply["ETag"]
        except InputError as error:
            if error.code == "not-found":
                return None
            raise

    def replace(self, at: Location, body: bytes, etag: str) -> str:
        """Write a JSON object if it still has this ETag; "": if it is still not there.

        Returns:
            Its new ETag if it was written, or an empty string.
        """
        put = partial(
            self._s3.put_object,
            Bucket=at.bucket,
            Key=at.key,
            Body=body,
            ContentType="application/json",
        )
        self._count(writes=1)
        try:
            with _translated(at):
                return (put(IfMatch=etag) if etag else put(IfNoneMatch="*"))["ETag"]
        except InputError as error:
            if error.code == "precondition-failed":
                return ""
            raise

    def mark_scratch(self, at: Location) -> None:
        """Tag an object as one that the bucket's lifecycle may remove."""
        self._count(writes=1)
        with _translated(at):
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
        text = json.dumps(document, indent=1, allow_nan=False)
        self.put(at, text.encode(), "application/json")

    def upload(self, path: Path, at: Location) -> None:
        """Upload a file, in parts where it is large; it appears when it is whole."""
        parts = 1 + path.stat().st_size // UPLOAD_PART_BYTES
        self._count(writes=parts if parts == 1 else parts + 2)
        with _translated(at):
            self._s3.upload_file(str(path), at.bucket, at.key)

    def download(self, at: Location, path: Path) -> None:
        """Download an object into a file, in parts if large; it appears when it is whole."""
        beside = path.with_name(path.name + ".part")
        self._count(reads=1)
        with _translated(at):
            self._s3.download_file(at.bucket, at.key, str(beside))
        beside.replace(path)


CODES = {
    "404": "not-found",
    "NoSuchKey": "not-found",
    "NoSuchVersion": "not-found",
    "NoSuchBucket": "no-bucket",
    "403": "access-denied",
    "AccessDenied": "access-denied",
    "412": "precondition-failed",
    "PreconditionFailed": "precondition-failed",
    "ConditionalRequestConflict": "precondition-failed",
    "416": "bad-range",
    "InvalidRange": "bad-range",
}
HINTS = {
    "not-found": "check the key and its spelling",
    "no-bucket": "check the bucket's name and region",
    "access-denied": "the function's role may not read or write there",
    "precondition-failed": "the object has changed since the run was planned",
    "bad-range": "the object is shorter than its header says",
}


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


@contextmanager
def _translated(at: Location) -> Iterator[None]:
    try:
        yield
    except ClientError as error:
        code = CODES.get(error.response["Error"]["Code"])
        if code is None:
            raise TransientError(f"{at.uri}: {error}") from error
        raise InputError(f"{at.uri}: {error}", code=code, hint=HINTS[code]) from error
    except BotoCoreError as error:
        raise TransientError(f"{at.uri}: {error}") from error
