"""Whether the pixels of a run's partitions are as bright as their magnitudes say, by a few rows."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
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
    """A partition, and where its pixels and magnitudes lie."""

    planned: PlannedPartition
    image: Tensor
    mag: Tensor

    @classmethod
    def of(cls, planned: PlannedPartition, header: Header) -> OpenPartition:
        """Keep of a header what a sample needs, not the checksums of all rows."""
        return cls(planned, header.tensors["image"], header.tensors["mag"])


def compare_pixels(
    store: Readable, partitions: Sequence[OpenPartition], connections: Executor
) -> Report:
    """Judge at most 256 rows, spread over all partitions: 16 requests for at most 8 MiB of pixels.

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
    return judge(
        Comparison.joined([Comparison.of(image.result(), mag.result()) for image, mag in read_now])
    )


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
