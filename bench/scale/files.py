"""An S3 client whose buckets are folders: what it costs is what our own code costs."""

from __future__ import annotations

import hashlib
import io
import shutil
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote, unquote

from botocore.exceptions import ClientError

PAGE = 1000


class FilesS3:
    """The calls of S3 that Cosmic makes, on files under a folder; one process at a time.

    An ETag is made of size and time, so that no file is read for it.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.requests = 0
        self._listings: dict[tuple[str, str], list[dict[str, Any]]] = {}

    def path(self, bucket: str, key: str) -> Path:
        """Where an object is."""
        return self.root / bucket / quote(key, safe="")

    def _found(self, bucket: str, key: str, operation: str) -> Path:
        self.requests += 1
        path = self.path(bucket, key)
        if not path.is_file():
            raise ClientError({"Error": {"Code": "NoSuchKey", "Message": key}}, operation)
        return path

    def get_object(self, Bucket: str, Key: str, **more: Any) -> dict[str, Any]:  # noqa: N803
        """A whole object, or a range of it."""
        path = self._found(Bucket, Key, "GetObject")
        size, tag = path.stat().st_size, etag(path)
        if "Range" not in more:
            return {"Body": io.BytesIO(path.read_bytes()), "ETag": tag, "ContentLength": size}
        first, _, last = more["Range"].removeprefix("bytes=").partition("-")
        with path.open("rb") as file:
            file.seek(int(first) if first else size - int(last))
            data = file.read(int(last) - int(first) + 1 if first else int(last))
        start = int(first) if first else size - len(data)
        reached = f"bytes {start}-{start + len(data) - 1}/{size}"
        body = {"Body": io.BytesIO(data), "ETag": tag, "ContentLength": len(data)}
        return body | {"ContentRange": reached}

    def head_object(self, Bucket: str, Key: str) -> dict[str, Any]:  # noqa: N803
        """Size and ETag."""
        path = self._found(Bucket, Key, "HeadObject")
        return {"ContentLength": path.stat().st_size, "ETag": etag(path)}

    def put_object(self, Bucket: str, Key: str, Body: Any, **more: Any) -> dict[str, Any]:  # noqa: N803
        """Write an object, unless there is one and there should be none."""
        self.requests += 1
        path = self.path(Bucket, Key)
        if "IfNoneMatch" in more and path.exists():
            raise ClientError({"Error": {"Code": "PreconditionFailed"}}, "PutObject")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(Body)
        return {"ETag": etag(path), "VersionId": "1"}

    def delete_object(self, Bucket: str, Key: str) -> dict[str, Any]:  # noqa: N803
        """Delete an object."""
        self.requests += 1
        self.path(Bucket, Key).unlink(missing_ok=True)
        return {}

    def put_object_tagging(self, **_: Any) -> dict[str, Any]:
        """Tags are not kept."""
        self.requests += 1
        return {}

    def upload_file(self, path: str, bucket: str, key: str) -> None:
        """Copy a file to its place, in as many requests as it has parts."""
        self.requests += 1 + Path(path).stat().st_size // (8 << 20)
        shutil.copyfile(path, self.path(bucket, key))

    def create_multipart_upload(self, Bucket: str, Key: str, **_: Any) -> dict[str, Any]:  # noqa: N803
        """An upload is a folder of parts beside the objects."""
        self.requests += 1
        upload = hashlib.sha256(f"{Bucket}/{Key}".encode()).hexdigest()
        (self.root / "uploads" / upload).mkdir(parents=True)
        return {"UploadId": upload}

    def upload_part(
        self,
        Bucket: str,  # noqa: N803
        Key: str,  # noqa: N803
        UploadId: str,  # noqa: N803
        PartNumber: int,  # noqa: N803
        Body: Any,  # noqa: N803
    ) -> dict[str, Any]:
        """Write a part."""
        self.requests += 1
        (self.root / "uploads" / UploadId / str(PartNumber)).write_bytes(Body)
        return {"ETag": f'"{PartNumber}"'}

    def complete_multipart_upload(
        self,
        Bucket: str,  # noqa: N803
        Key: str,  # noqa: N803
        UploadId: str,  # noqa: N803
        MultipartUpload: dict[str, Any],  # noqa: N803
    ) -> dict[str, Any]:
        """Join the parts that are named."""
        self.requests += 1
        folder, path = self.root / "uploads" / UploadId, self.path(Bucket, Key)
        with path.open("wb") as whole:
            for part in MultipartUpload["Parts"]:
                with (folder / str(part["PartNumber"])).open("rb") as file:
                    shutil.copyfileobj(file, whole)
        shutil.rmtree(folder)
        return {"ETag": etag(path)}

    def abort_multipart_upload(self, UploadId: str, **_: Any) -> dict[str, Any]:  # noqa: N803
        """Forget the parts."""
        self.requests += 1
        shutil.rmtree(self.root / "uploads" / UploadId)
        return {}

    def list_multipart_uploads(self, **_: Any) -> dict[str, Any]:
        """None outlives its process here."""
        self.requests += 1
        return {}

    def copy(self, CopySource: dict[str, str], Bucket: str, Key: str, **_: Any) -> None:  # noqa: N803
        """Copy an object."""
        source = self._found(CopySource["Bucket"], CopySource["Key"], "CopyObject")
        shutil.copyfile(source, self.path(Bucket, Key))

    def list_objects_v2(
        self,
        Bucket: str,  # noqa: N803
        Prefix: str,  # noqa: N803
        ContinuationToken: str = "0",  # noqa: N803
        **_: Any,
    ) -> dict[str, Any]:
        """A page; a listing is made with its first."""
        number = int(ContinuationToken)
        if not number:
            self._listings[Bucket, Prefix] = list(self._pages(Bucket, Prefix))
        pages = self._listings[Bucket, Prefix]
        if number + 1 == len(pages):
            return pages[number] | {"IsTruncated": False}
        return pages[number] | {"IsTruncated": True, "NextContinuationToken": str(number + 1)}

    def get_paginator(self, _: str) -> Any:
        """Of `list_objects_v2` alone."""
        return SimpleNamespace(paginate=self._pages)

    def _pages(self, Bucket: str, Prefix: str) -> Iterator[dict[str, Any]]:  # noqa: N803
        folder, beginning = self.root / Bucket, quote(Prefix, safe="")
        found = sorted(p for p in folder.iterdir() if p.name.startswith(beginning))
        for start in range(0, max(len(found), 1), PAGE):
            self.requests += 1
            yield {"Contents": [_entry(path) for path in found[start : start + PAGE]]}


def etag(path: Path) -> str:
    """A tag that changes with the file."""
    found = path.stat()
    return f'"{found.st_size}-{found.st_mtime_ns}"'


def _entry(path: Path) -> dict[str, Any]:
    return {"Key": unquote(path.name), "Size": path.stat().st_size, "ETag": etag(path)}
