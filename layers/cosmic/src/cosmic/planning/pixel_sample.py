"""Whether the pixels of a run's partitions are as bright as their magnitudes say, by a few rows."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cosmic.contracts.bands import BANDS, Bands
from cosmic.contracts.columns import Header, Tensor
from cosmic.contracts.location import Location
from cosmic.contracts.manifest import Data
from cosmic.contracts.plan import PlannedPartition
from cosmic.data.formats import read_header
from cosmic.data.photometry_check import Comparison, Report, judge, spread
from cosmic.errors import InvalidInput, Problem
from cosmic.storage.interfaces import Readable

CODE = "pixels-disagree"
AT_ONCE_BYTES = 1 << 20


@dataclass(frozen=True)
class OpenPartition:
    """A partition, and where its pixels and magnitudes are, if its header has been read.

    Attributes:
        image_bytes: Size of a row's pixels.
        image_size: Height and width of an image; None if unknown.
        pixel_arcsec: Side of a pixel; None if the partition doesn't say.
        tensors: Image and magnitudes.
        bands: In their order.
    """

    planned: PlannedPartition
    image_bytes: int
    image_size: tuple[int, int] | None = None
    pixel_arcsec: float | None = None
    tensors: tuple[Tensor, Tensor] | None = None
    bands: Bands = BANDS

    @classmethod
    def of(cls, planned: PlannedPartition, header: Header) -> OpenPartition:
        """Keep of a header what a sample needs, not the checksums of all rows."""
        image, mag = header.tensors["image"], header.tensors["mag"]
        height, width = image.shape[2:]
        return cls(
            planned,
            image.row_bytes,
            (height, width),
            header.pixel_arcsec,
            (image, mag),
            header.bands,
        )


def compare_pixels(
    store: Readable, partitions: Sequence[OpenPartition], connections: Executor
) -> Report:
    """Judge at most 256 rows, spread over all partitions: at most 16 requests, 8 MiB of pixels.

    If headers have not been read yet, those of at most 8 partitions are read. The other partitions
    can't make up for one that, as a data set of its own, would be refused: the first such partition
    is named.

    Raises:
        InvalidInput: a header is not that of a partition.
        InputError: a partition is gone, or has changed since it was listed.
        TransientError: S3 failed.
    """
    pieces = spread([p.planned.rows for p in partitions], [p.image_bytes for p in partitions])
    rows: dict[int, list[range]] = {}
    for at, start, stop in pieces:
        rows.setdefault(at, []).append(range(start, stop))
    samples = connections.map(lambda at: _Sample.of(store, partitions[at], rows[at]), rows)
    read = [(sample, i) for sample in samples for i in range(len(sample.rows))]
    found = list(connections.map(lambda one: one[0].compared(store, one[1]), read))
    together = judge(Comparison.joined(found))
    if together.refused:
        return together
    by_partition: dict[int, list[Comparison]] = {}
    for (at, _, _), part in zip(pieces, found, strict=True):
        by_partition.setdefault(at, []).append(part)
    return _first_wrong(partitions, by_partition) or together


@dataclass(frozen=True)
class _Sample:
    """Some rows of a partition, and their magnitudes (N, bands) by stretch of rows."""

    planned: PlannedPartition
    bands: Bands
    image: Tensor
    rows: list[range]
    mags: list[NDArray[np.floating[Any]]]

    @classmethod
    def of(cls, store: Readable, partition: OpenPartition, rows: list[range]) -> _Sample:
        """Read the magnitudes; at once where the rows lie near enough to each other."""
        planned = partition.planned
        image, mag = partition.tensors or _tensors(store, planned)
        whole = range(rows[0].start, rows[-1].stop)
        if len(whole) * mag.row_bytes > AT_ONCE_BYTES:
            apart = [_rows(store, planned, mag, part) for part in rows]
            return cls(planned, partition.bands, image, rows, apart)
        near = _rows(store, planned, mag, whole)
        parts = [near[part.start - whole.start : part.stop - whole.start] for part in rows]
        return cls(planned, partition.bands, image, rows, parts)

    def compared(self, store: Readable, part: int) -> Comparison:
        """Compare a stretch of rows."""
        image = _rows(store, self.planned, self.image, self.rows[part])
        return Comparison.of(image, self.mags[part], self.bands)


def _first_wrong(
    partitions: Sequence[OpenPartition], found: dict[int, list[Comparison]]
) -> Report | None:
    """What is wrong with one partition; a few objects can't tell pixels of other rows."""
    for at, parts in found.items():
        report = judge(Comparison.joined(parts))
        if report.refused and report.verdict != "rows":
            planned = partitions[at].planned
            where = Location(planned.bucket, planned.key).uri
            others = f"{len(found) - 1} others that were looked at are right or don't tell"
            return replace(report, message=f"{where}: {report.message}; {others}")
    return None


def _tensors(store: Readable, planned: PlannedPartition) -> tuple[Tensor, Tensor]:
    where = Location(planned.bucket, planned.key)

    def read(offset: int, length: int) -> bytes:
        return store.get_range(where, offset, length, etag=planned.etag)

    header = read_header(planned.format, read, planned.bytes, where.uri)
    if not isinstance(header, Header):
        raise InvalidInput(header)
    return header.tensors["image"], header.tensors["mag"]


def _rows(
    store: Readable, planned: PlannedPartition, tensor: Tensor, rows: range
) -> NDArray[np.floating[Any]]:
    where = Location(planned.bucket, planned.key)
    data = store.get_range(where, *tensor.byte_range(rows.start, rows.stop), etag=planned.etag)
    return tensor.rows(memoryview(data))


def refuses(data: Data) -> bool:
    """Whether a run is refused because pixels and magnitudes disagree; if not, it is warned."""
    if data.pixel_mismatch == "auto":
        return data.format == "safetensors"
    return data.pixel_mismatch == "refuse"


def as_problem(report: Report) -> Problem:
    """Why a run is refused."""
    ratios = {band: b.ratio for band, b in report.bands.items()}
    way_on = 'if you know better, "pixel_mismatch": "warn" in data runs it all the same'
    return Problem("/data", report.message, ratios, f"{report.hint}; {way_on}", CODE)


def as_warning(report: Report) -> str:
    """The warning of a run that is not refused."""
    return f"{report.message}: {report.hint}"
