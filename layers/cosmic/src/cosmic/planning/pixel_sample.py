"""Whether the pixels of a run's partitions are as bright as their magnitudes say, by a few rows."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cosmic.contracts.columns import Header, Tensor
from cosmic.contracts.location import Location
from cosmic.contracts.manifest import Data
from cosmic.contracts.plan import PlannedPartition
from cosmic.data.photometry_check import Comparison, Report, judge, spread
from cosmic.errors import Problem
from cosmic.storage.objects import Readable

CODE = "pixels-disagree"


@dataclass(frozen=True)
class OpenPartition:
    """A partition, and where its pixels and magnitudes lie.

    Attributes:
        pixel_arcsec: Side of a pixel; None: it doesn't say.
    """

    planned: PlannedPartition
    image: Tensor
    mag: Tensor
    pixel_arcsec: float | None = None

    @classmethod
    def of(cls, planned: PlannedPartition, header: Header) -> OpenPartition:
        """Keep of a header what a sample needs, not the checksums of all rows."""
        tensors = header.tensors
        return cls(planned, tensors["image"], tensors["mag"], header.pixel_arcsec)


def compare_pixels(
    store: Readable, partitions: Sequence[OpenPartition], connections: Executor
) -> Report:
    """Judge at most 256 rows, spread over all partitions: 16 requests for at most 8 MiB of pixels.

    Partitions that are as wrong by themselves as a data set that is refused are not made up for by
    the others: the first of them is named.

    Raises:
        InputError: a partition is gone, or has changed since it was listed.
        TransientError: S3 failed.
    """
    pieces = spread([p.planned.rows for p in partitions], [p.image.row_bytes for p in partitions])

    def read(at: int, start: int, stop: int, tensor: Tensor) -> NDArray[np.floating[Any]]:
        planned = partitions[at].planned
        where = Location(planned.bucket, planned.key)
        data = store.get_range(where, *tensor.byte_range(start, stop), etag=planned.etag)
        return tensor.rows(memoryview(data))

    read_now = [
        tuple(connections.submit(read, *piece, tensor) for tensor in (p.image, p.mag))
        for piece in pieces
        for p in [partitions[piece[0]]]
    ]
    found = [Comparison.of(image.result(), mag.result()) for image, mag in read_now]
    together = judge(Comparison.joined(found))
    if together.refused:
        return together
    by_partition: dict[int, list[Comparison]] = {}
    for (at, _, _), part in zip(pieces, found, strict=True):
        by_partition.setdefault(at, []).append(part)
    return _first_wrong(partitions, by_partition) or together


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


def refuses(data: Data) -> bool:
    """Whether a run is refused whose pixels and magnitudes disagree; else it is warned of it."""
    if data.pixel_mismatch == "auto":
        return data.format == "safetensors"
    return data.pixel_mismatch == "refuse"


def as_problem(report: Report) -> Problem:
    """Why a run is refused."""
    ratios = {band: b.ratio for band, b in report.bands.items()}
    way_on = 'if you know better, "pixel_mismatch": "warn" in data runs it all the same'
    return Problem("/data", report.message, ratios, f"{report.hint}; {way_on}", CODE)


def as_warning(report: Report) -> str:
    """What a run is warned of that is not refused."""
    return f"{report.message}: {report.hint}"
