"""What the page is made of: one JSON document, of a size that rows don't change."""

from __future__ import annotations

from typing import Any

from pydantic import Field, TypeAdapter

from cosmic.contracts.contract import Contract
from cosmic.contracts.rank_record import RankRecord
from cosmic.contracts.status import Status
from cosmic.report.cells import Cells
from cosmic.report.cutout import Cutout
from cosmic.report.histograms import Binned
from cosmic.report.phases import RankTimes


class ReportDocument(Contract):
    """Everything that the page shows.

    Attributes:
        status: As it will be written, but for the page's own line in `outputs`.
        metrics: `metrics.json`, without its ranks.
        timeline: When each rank did what.
        slowest: The records of the ranks that ended last.
        binned: The redshifts' histograms.
        sky: Objects by ra and dec; None if none has a position.
        magnitudes: Objects by z_phot and r magnitude; None if none has both.
        flag_counts: Rows by name of flag.
        flagged: The first flagged rows, by column name.
        cutouts: Pictures of a few objects, by group.
        provenance: Names and values, in the order in which they are shown.
    """

    version: int = 1
    status: Status
    metrics: dict[str, Any]
    timeline: RankTimes
    slowest: tuple[RankRecord, ...] = Field(strict=False)
    binned: Binned
    sky: Cells | None = None
    magnitudes: Cells | None = None
    flag_counts: dict[str, int]
    flagged: tuple[dict[str, Any], ...] = Field(strict=False)
    cutouts: tuple[Cutout, ...] = Field(default=(), strict=False)
    provenance: dict[str, str]


_ADAPTER = TypeAdapter(ReportDocument)


def parse_document(text: bytes) -> ReportDocument:
    """Read a document.

    Raises:
        pydantic.ValidationError: the text is not a document of this version.
    """
    return _ADAPTER.validate_json(text)
