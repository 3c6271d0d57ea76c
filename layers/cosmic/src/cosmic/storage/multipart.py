"""An object that is written piece by piece and appears when it is whole."""

from __future__ import annotations

import io
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Self, TypedDict

from cosmic.contracts.location import Location
from cosmic.storage.aws_errors import translated
from cosmic.storage.parts import PART_BYTES

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client
    from types_boto3_s3.type_defs import CompletedPartTypeDef


class _Type(TypedDict):
    """What is said of an object: how its bytes are to be read."""

    ContentType: str


class _Part:
    """Room for the bytes of a part, used again and again."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.size = 0

    def take(self, view: memoryview) -> int:
        """Append as much as there is room for; says how much that was."""
        if not self.data:
            self.data = bytearray(PART_BYTES)
        taken = min(len(view), PART_BYTES - self.size)
        self.data[self.size : self.size + taken] = view[:taken]
        self.size += taken
        return taken

    @property
    def full(self) -> bool:
        """Whether there is no room left."""
        return self.size == PART_BYTES

    @property
    def filled(self) -> bytearray:
        """The bytes; a full part is not copied."""
        return self.data if self.full else self.data[: self.size]

    @property
    def view(self) -> memoryview:
        """The bytes, not copied; boto3 takes no view."""
        return memoryview(self.data)[: self.size]


class ObjectWriter(io.RawIOBase):
    """What is written goes to S3 in parts, one on its way while the next is filled.

    The first part stays here until everything else has been sent, so its beginning can be filled in
    last. What fits into two parts is one ordinary write. If the context is left without `commit`,
    nothing is left of an upload that had begun; if the process is killed, its parts are removed
    when the same object is written again.

    Args:
        client: S3.
        at: The object.
        count: Told of requests, as writes.
        content_type: Of the object.
    """

    def __init__(
        self,
        client: S3Client,
        at: Location,
        count: Callable[[int], None],
        content_type: str = "application/octet-stream",
    ) -> None:
        self._s3, self._at, self._count = client, at, count
        self._type = _Type(ContentType=content_type)
        self._first, self._next, self._spare = (_Part() for _ in range(3))
        self._size = 0
        self._upload = ""
        self._parts: list[CompletedPartTypeDef] = []
        self._sending: Future[None] | None = None
        self._sender = ThreadPoolExecutor(1)

    def writable(self) -> bool:
        """It is written."""
        return True

    def tell(self) -> int:
        """Bytes written so far."""
        return self._size

    def write(self, data: Any, /) -> int:
        """Append bytes; waits while the part before is on its way."""
        view = memoryview(data).cast("B")
        taken = len(view)
        self._size += taken
        view = view[self._first.take(view) :]
        while len(view):
            if self._next.full:
                self._send()
            view = view[self._next.take(view) :]
        return taken

    def write_start(self, data: bytes) -> None:
        """Replace the first bytes, at most those of a part."""
        self._first.data[: len(data)] = data

    @property
    def begun(self) -> bool:
        """Whether parts are in S3 already, so that it can be no other object."""
        return bool(self._upload)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.discard()

    def discard(self) -> None:
        """Leave nothing of an upload that has begun and was not committed."""
        self._sender.shutdown()
        if self._upload:
            self._abort(self._upload)
            self._upload = ""

    def send_all(self) -> None:
        """Send what has not been sent; all that is left to do then is to make the object appear.

        Raises:
            InputError, TransientError: S3 refused, or failed.
        """
        if self._upload:
            self._send()
            self._wait()
            self._upload_part(1, self._first)

    def commit(self, at: Location) -> None:
        """Make the object appear, under another key than that given first unless it has begun.

        Raises:
            InputError, TransientError: S3 refused, or failed.
        """
        self._count(1)
        if not self._upload:
            body = b"".join(part.view for part in (self._first, self._next))
            with translated(at.uri):
                self._s3.put_object(Bucket=at.bucket, Key=at.key, Body=body, **self._type)
            return
        with translated(self._at.uri):
            self._s3.complete_multipart_upload(
                Bucket=self._at.bucket,
                Key=self._at.key,
                UploadId=self._upload,
                MultipartUpload={"Parts": sorted(self._parts, key=lambda p: p["PartNumber"])},
            )
        self._upload = ""

    def _send(self) -> None:
        """Send the part that is being filled; the one that was sent before is filled next."""
        if not self._upload:
            self._begin()
        self._wait()
        self._sending = self._sender.submit(self._upload_part, len(self._parts) + 2, self._next)
        self._next, self._spare = self._spare, self._next
        self._next.size = 0

    def _wait(self) -> None:
        if self._sending is not None:
            self._sending.result()

    def _upload_part(self, number: int, part: _Part) -> None:
        self._count(1)
        with translated(self._at.uri):
            reply = self._s3.upload_part(
                Bucket=self._at.bucket,
                Key=self._at.key,
                UploadId=self._upload,
                PartNumber=number,
                Body=part.filled,  # type: ignore[arg-type]  # its stub lacks bytearray
            )
        self._parts.append({"PartNumber": number, "ETag": reply["ETag"]})

    def _begin(self) -> None:
        """Begin an upload; those of the same object that were never ended are removed."""
        at = self._at
        self._count(2)
        with translated(at.uri):
            found = self._s3.list_multipart_uploads(Bucket=at.bucket, Prefix=at.key)
            for upload in found.get("Uploads", []):
                if upload["Key"] == at.key:
                    self._abort(upload["UploadId"])
            reply = self._s3.create_multipart_upload(Bucket=at.bucket, Key=at.key, **self._type)
        self._upload = reply["UploadId"]

    def _abort(self, upload: str) -> None:
        self._count(1)
        at = self._at
        with translated(at.uri):
            self._s3.abort_multipart_upload(Bucket=at.bucket, Key=at.key, UploadId=upload)
