"""An index of a data set: what the headers of all its partitions say, in one object beside them.

`init` would otherwise read a header per partition. What an index says of a partition counts only
while its object has the size and one of the ETags that are noted: they are those that S3 gives to
the file's bytes, written at once or in parts of 8 MiB, as `aws s3`, boto3 and Cosmic write them. An
object with another ETag (other bytes, other parts, encryption with a key of KMS) is looked at.
"""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Self

from pydantic import Field, TypeAdapter

from cosmic.contracts.bands import BANDS, Bands
from cosmic.contracts.columns import Header
from cosmic.contracts.contract import Contract
from cosmic.data.native import read_header
from cosmic.errors import InvalidInput
from cosmic.storage.etag import etags_of

INDEX_NAME = "partitions.index.json"
MOST_BYTES = 64 << 20
HASHED_AT_ONCE = 2


class IndexedPartition(Contract):
    """What is known of a partition whose object has this size and one of these ETags.

    Attributes:
        name: Of the file, beside the index.
        etags: Without their quotation marks.
        row_bytes: Of a row of all columns; `image_bytes` of its pixels alone.
        image_size: Height and width of an image.
        pixel_arcsec: Side of a pixel; None: the partition doesn't say.
        id_bytes: Of each id if ids are text; None: they are whole numbers.
        bands: In their order.
    """

    name: str
    bytes: int
    etags: tuple[str, ...] = Field(strict=False)
    rows: int
    row_bytes: int
    image_bytes: int
    image_size: tuple[int, int] | None = Field(default=None, strict=False)
    pixel_arcsec: float | None = None
    id_bytes: int | None = None
    bands: Bands = Field(default=BANDS, strict=False)


class DatasetIndex(Contract):
    """The partitions of a folder."""

    version: int = 1
    partitions: tuple[IndexedPartition, ...] = Field(strict=False)


_ADAPTER = TypeAdapter(DatasetIndex)


def parse_index(text: bytes) -> DatasetIndex:
    """Read an index.

    Raises:
        pydantic.ValidationError: the text is none of this version.
    """
    return _ADAPTER.validate_json(text)


class IndexWriter:
    """Looks at partitions as they are written, in threads beside the one that writes them."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(HASHED_AT_ONCE, thread_name_prefix="index")
        self._entries: list[Future[IndexedPartition]] = []

    def add(self, partition: Path, name: str = "") -> None:
        """Take a native partition; its file is complete.

        Args:
            name: In the index; empty: the file's own.
        """
        self._entries.append(self._threads.submit(_indexed, partition, name or partition.name))

    def write(self, folder: Path) -> Path:
        """Write the index of all partitions, in the order in which they came, into their folder.

        Raises:
            InvalidInput: a file is no partition.
        """
        index = DatasetIndex(partitions=tuple(entry.result() for entry in self._entries))
        target = folder / INDEX_NAME
        target.write_text(index.model_dump_json(indent=1) + "\n")
        return target

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._threads.shutdown(cancel_futures=True)


def _indexed(path: Path, name: str) -> IndexedPartition:
    size = path.stat().st_size
    with path.open("rb") as file:

        def read(offset: int, length: int) -> bytes:
            file.seek(offset)
            return file.read(length)

        header = read_header(read, size, str(path))
    if not isinstance(header, Header):
        raise InvalidInput(header)
    image = header.tensors["image"]
    return IndexedPartition(
        name=name,
        bytes=size,
        etags=etags_of(path),
        rows=header.rows,
        row_bytes=header.row_bytes,
        image_bytes=image.row_bytes,
        image_size=(image.shape[2], image.shape[3]),
        pixel_arcsec=header.pixel_arcsec,
        id_bytes=header.id_bytes,
        bands=header.bands,
    )
