"""Make the page in a process of its own, so that nothing that happens there can hurt the run."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cosmic import __version__
from cosmic.contracts.plan import Plan
from cosmic.contracts.rank_record import RankRecord
from cosmic.contracts.status import Status
from cosmic.report.cells import MagnitudeCounts, SkyCounts
from cosmic.report.cutout import Cutout
from cosmic.report.cutout_choice import CutoutChoice
from cosmic.report.cutouts import read_cutouts
from cosmic.report.document import ReportDocument, parse_document
from cosmic.report.flagged import FlaggedRows
from cosmic.report.phases import RankTimes, timeline
from cosmic.report.redshift_counts import RedshiftCounts
from cosmic.report.tables import slowest_of
from cosmic.storage.interfaces import Readable

LONGEST_S = 60.0
SHORTEST_S = 5.0
RESERVE_S = 20.0
CUTOUTS_S = 15.0
NO_PAGE = "report.html could not be made"
MakePage = Callable[[ReportDocument, Path, float], Path | str]


@dataclass(frozen=True)
class PageRender:
    """What a run has to show; the document is made of it.

    Attributes:
        redshifts: Counts of the catalogue's redshifts.
        choice: Whose cutouts are shown.
    """

    plan: Plan
    records: Sequence[RankRecord]
    metrics: dict[str, Any]
    redshifts: RedshiftCounts
    flagged: FlaggedRows
    sky: SkyCounts
    magnitudes: MagnitudeCounts
    choice: CutoutChoice

    def document(self, status: Status, cutouts: tuple[Cutout, ...] = ()) -> ReportDocument:
        """The page's document."""
        photo_z, line = self.metrics["photo_z"], timeline(self.records)
        width = (
            {"bias": photo_z["rail"]["bias_median"], "sigma": photo_z["sigma_nmad"]}
            if photo_z["n"]
            else {}
        )
        return ReportDocument(
            status=status,
            metrics=self.metrics,
            timeline=RankTimes.of(line),
            slowest=slowest_of(line, self.records),
            binned=self.redshifts.binned(**width),
            sky=self.sky.cells(),
            magnitudes=self.magnitudes.cells(),
            flag_counts=self.flagged.counts,
            flagged=tuple(self.flagged.first),
            cutouts=cutouts,
            provenance=provenance(self.plan, status, self.metrics["run"]["wall_s"]),
        )


def provenance(plan: Plan, status: Status, wall_s: float) -> dict[str, str]:
    """Where the numbers come from, in the order in which it is shown."""
    started = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(time.time() - wall_s))
    return {
        "data set": plan.dataset,
        "model": plan.model.key.rsplit("/", 1)[-1],
        "model SHA-256": plan.model.sha256,
        "started": started,
        "software": f"cosmic {__version__}",
        "engine": f"{plan.engine}, {plan.precision}, batches of {plan.batch_size}",
        "partitions": f"{len(plan.partitions):,}",
        "messages": f"planned over {plan.channel}",
        "manifest": status.manifest,
        "execution": status.execution or "–",
    }


def with_page(
    status: Status,
    making: PageRender,
    put: Callable[[bytes], bool],
    objects: Readable,
    scratch: Path,
    ends_at_s: float,
    place: str,
    make: MakePage | None = None,
) -> Status:
    """Make and upload the page; all else is in S3 by now and does not depend on it.

    Args:
        put: Uploads it, unless the run has been resumed since; says whether it did.
        objects: Where cutouts are read.
        ends_at_s: When there is no more time for it, seconds since 1970.
        place: Where the user finds it.
        make: Makes it of its document, in the place of `make_page`.

    Returns:
        The status, which lists the page or has a warning that says why there is none; as it was
        if the run has been resumed.

    Raises:
        TransientError: S3 failed.
    """
    left_s = ends_at_s - time.time() - RESERVE_S - SHORTEST_S
    chosen = making.choice.chosen() if left_s > CUTOUTS_S else []
    cutouts = read_cutouts(chosen, making.plan, objects, CUTOUTS_S)
    document = making.document(status, cutouts)
    made = (make or make_page)(document, scratch, ends_at_s - time.time() - RESERVE_S)
    warnings = tuple(w for w in status.warnings if not w.startswith(NO_PAGE))
    if isinstance(made, str):
        return status.model_copy(update={"warnings": (*warnings, f"{NO_PAGE}: {made}")})
    if not put(made.read_bytes()):
        return status
    outputs = {**status.outputs, "report.html": place}
    return status.model_copy(update={"outputs": outputs, "warnings": warnings})


def make_page(document: ReportDocument, scratch: Path, seconds_left: float) -> Path | str:
    """Write `report.html` into a folder.

    Args:
        document: What it is made of.
        scratch: The folder.
        seconds_left: What there is time for; the process is killed after it.

    Returns:
        Its path, or why there is none.
    """
    if seconds_left < SHORTEST_S:
        return f"only {max(seconds_left, 0):.0f} s were left for it"
    source, target = scratch / "report.json", scratch / "report.html"
    source.write_text(document.model_dump_json(), encoding="utf-8")
    try:
        done = subprocess.run(
            [sys.executable, "-m", "cosmic.report", str(source), str(target)],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
            capture_output=True,
            text=True,
            timeout=min(seconds_left, LONGEST_S),
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"{type(error).__name__}: {error}"
    if done.returncode:
        return f"its process ended with {done.returncode}: {_last_line(done.stderr)}"
    return target


def page_here(document: ReportDocument, scratch: Path, seconds_left: float) -> Path | str:
    """As `make_page`, in this process, which spares starting another one.

    For where nobody waits for this process but the page's own reader, and for as long as it takes.
    """
    try:
        from cosmic.report.page import page

        target = scratch / "report.html"
        # By way of JSON, as the other process gets it: numbers that are none become nothing.
        known = parse_document(document.model_dump_json().encode())
        target.write_text(page(known), encoding="utf-8")
    except Exception as error:  # noqa: BLE001 - whatever it is, the catalogue is there
        return f"{type(error).__name__}: {error}"
    return target


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or ["it said nothing"])[-1]
