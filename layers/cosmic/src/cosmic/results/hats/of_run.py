"""A run's HATS collection, where its manifest asks for one."""

from __future__ import annotations

import hashlib
import time
from pathlib import Path

from cosmic.contracts.hats_costs import hats_s
from cosmic.contracts.layout import HATS
from cosmic.contracts.status import Status
from cosmic.errors import InputError
from cosmic.results.hats.write_hats import Place, copy_to_hats
from cosmic.results.task import AggregateTask
from cosmic.storage.run_store import RunStore

NO_HATS = f"{HATS} could not be made"


def with_hats(status: Status, task: AggregateTask, run: RunStore, scratch: Path) -> Status:
    """Write a run's catalogue as a HATS collection, too.

    Each execution writes a folder of its own in the collection, which turns to it when it is
    whole: who reads a run that is resumed sees the one catalogue or the other.

    Args:
        status: Of a run whose catalogue is in S3.
        scratch: Gets all rows for a while.

    Returns:
        The status, with the collection among its outputs; or with a warning that says why there
        is none, and with another if rows are left out.

    Raises:
        TransientError: S3 failed.
    """
    # Another attempt of this execution may have said already what became of the collection.
    others = tuple(w for w in status.warnings if not w.startswith(f"{HATS} "))
    status = status.model_copy(update={"warnings": others})
    needed_s, left_s = hats_s(status.rows_out or 0), task.ends_at_s - time.time()
    if needed_s > left_s:
        return _warned(status, f"{NO_HATS}: it takes {needed_s:.0f} s, {left_s:.0f} s were left")
    source, out = (
        Place(run.objects, run.folder.at(name), run.folder.at(name).uri)
        for name in ("catalogue.parquet", HATS)
    )
    edition = hashlib.sha256(task.execution.encode()).hexdigest()[:12]
    try:
        made = copy_to_hats(source, out, scratch=scratch, edition=edition)
    except InputError as error:
        return _warned(status, f"{NO_HATS}: {error.message}")
    outputs = {**status.outputs, HATS: task.place(HATS)}
    if made.rows_without_position:
        left_out = f"{HATS} lacks {made.rows_without_position:,} rows without a position"
        status = _warned(status, left_out)
    return status.model_copy(update={"outputs": outputs})


def _warned(status: Status, warning: str) -> Status:
    return status.model_copy(update={"warnings": (*status.warnings, warning)})
