"""Upload and download files in parts, several at once.

Imported with the first such file: most ranks never have one, and its library takes 45 ms to import.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from s3transfer.exceptions import RetriesExceededError
from s3transfer.manager import TransferManager
from s3transfer.subscribers import BaseSubscriber

from cosmic.contracts.location import Location
from cosmic.errors import TransientError
from cosmic.storage.aws_errors import translated

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client


def upload(
    client: S3Client,
    path: Path,
    at: Location,
    arguments: Mapping[str, Any],
    seen: Callable[[int], None] | None,
) -> None:
    """Make a file an object, which appears when it is whole.

    Not by the client's `upload_file`: what it raises loses the error that S3 answered if the
    transfer's threads are slow to end, and with it whether another try can help.

    Args:
        arguments: Of the requests, such as `Metadata`.
        seen: Called with the bytes of each piece that has been sent.

    Raises:
        InputError: S3 refuses it.
        TransientError: it may succeed another time.
    """
    subscribers = [_Sent(seen)] if seen else None
    with translated(at.uri), TransferManager(client) as transfers:
        transfers.upload(
            str(path), at.bucket, at.key, extra_args=dict(arguments), subscribers=subscribers
        ).result()


def download(client: S3Client, at: Location, path: Path, arguments: Mapping[str, Any]) -> None:
    """Copy an object into a file.

    Args:
        arguments: Of the requests, such as `RequestPayer`.

    Raises:
        InputError: S3 refuses it.
        TransientError: it may succeed another time.
    """
    try:
        with translated(at.uri), TransferManager(client) as transfers:
            transfers.download(at.bucket, at.key, str(path), extra_args=dict(arguments)).result()
    except RetriesExceededError as error:
        raise TransientError(f"{at.uri}: {error}: {error.last_exception}") from error


class _Sent(BaseSubscriber):
    """Tells of the bytes of an upload as they are sent."""

    def __init__(self, seen: Callable[[int], None]) -> None:
        self._seen = seen

    def on_progress(self, future: Any, bytes_transferred: int, **_: Any) -> None:
        """Called by the transfer's threads; less than nothing where a piece is sent again."""
        self._seen(bytes_transferred)
