"""The end of every run: read what the ranks left, summarise it, publish it."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from cosmic.contracts.plan import Plan
from cosmic.contracts.status import State, Status
from cosmic.errors import CosmicError, TransientError
from cosmic.report.render import MakePage, PageRender, with_page
from cosmic.results.catalogue_files import CatalogueWriter
from cosmic.results.hats.of_run import with_hats
from cosmic.results.merge import Merged, merge_rows
from cosmic.results.publish import CatalogueObjects, publish
from cosmic.results.read_run import RunParts, read_rows, read_run
from cosmic.results.summarise import Summary, likely_to_fail, provenance, summarise
from cosmic.results.table import IN_TABLE, place_in_table, write_table_rows
from cosmic.results.task import AggregateTask
from cosmic.storage.interfaces import Requests, Writable
from cosmic.storage.object_file import ObjectFile
from cosmic.storage.run_store import RunStore

log = logging.getLogger(__name__)


class RunEnd(NamedTuple):
    """The status of a run, and whether it is this call that gave it this end."""

    status: Status
    new: bool


def aggregate(
    task: AggregateTask,
    store: Writable,
    scratch: Path,
    table_prefix: str = "",
    published: Callable[[], None] = lambda: None,
    make: MakePage | None = None,
) -> RunEnd:
    """Merge a run's shards and write its catalogue, metrics and status, in this order.

    The page is made after that, so that nobody who wants the catalogue waits for it; then the
    status is written again, with the page among its outputs. Where the run has been resumed
    since, what its new execution says stands, and this one ends. So does what an execution has
    said before it failed, where that is the reason to ask.

    Args:
        task: Which run.
        store: S3.
        scratch: Folder for the page before it is uploaded, and for rows that are sorted.
        table_prefix: Where the rows go too, for queries over all runs; empty: nowhere.
        published: Called when the catalogue, the metrics and this call's status are there, before
            the page is made; not where another's status stands.
        make: Makes the page of its document; None: a process of its own does.

    Returns:
        The run's status as it is then; new unless another has written it.

    Raises:
        TransientError: S3 failed; calling again does the same again.
    """
    before = store.requests  # the store outlives runs in a warm environment
    run = RunStore(store, task.folder)
    writer = run.status_writer(task.execution)
    if writer.successor:
        return RunEnd(writer.successor, new=False)
    if task.failed and writer.own_end:
        return RunEnd(writer.own_end, new=False)
    parts = read_run(run)
    announced = writer.found.warnings if writer.found else parts.plan.announced
    merged, summary = _write_catalogue(task, run, parts, announced, before)
    state, metrics = summary.status.state, summary.metrics
    names = publish(run, parts, state, metrics)
    if table_prefix and state in IN_TABLE:
        _copy_to_table(task, run, parts.plan, table_prefix)
    outputs = {name: task.place(name) for name in names}
    status = summary.status.model_copy(update={"outputs": outputs})
    if parts.plan.hats and state in IN_TABLE:
        status = with_hats(status, task, run, scratch)
    tag = run.report_tag()
    if not writer.write(status):
        return RunEnd(writer.found or status, new=False)
    published()
    if task.page:
        seen = (merged.counts, merged.flagged, merged.sky, merged.magnitudes, merged.cutouts)
        page = PageRender(parts.plan, parts.records, metrics, *seen)

        def put(page: bytes) -> bool:
            return run.write_report(page, tag, lambda: writer.stands)

        place = task.place("report.html")
        writer.amend(with_page(status, page, put, store, scratch, task.ends_at_s, place, make))
    if state is State.SUCCEEDED:
        _release(run)
    return RunEnd(writer.found or status, new=True)


def _copy_to_table(task: AggregateTask, run: RunStore, plan: Plan, prefix: str) -> None:
    """Write the rows once more, where queries over all runs look for them."""
    catalogue = ObjectFile(run.objects, run.folder.at("catalogue.parquet"))
    at = place_in_table(task.folder.bucket, prefix, plan, task.run_started_at_s)
    output = run.objects.writer(at)
    try:
        write_table_rows(catalogue, plan.run, output)
        output.send_all()
        output.commit(at)
    finally:
        output.discard()


def _release(run: RunStore) -> None:
    """Let the shards go; the run has ended well, whatever becomes of them."""
    try:
        run.release_shards()
    except CosmicError as error:
        log.warning("shards of %s are kept: %s", run.folder.run, error)


def _write_catalogue(
    task: AggregateTask,
    run: RunStore,
    parts: RunParts,
    announced: tuple[str, ...],
    before: Requests,
) -> tuple[Merged, Summary]:
    """Write the catalogue under the name that it deserves, in a second attempt if need be."""
    likely = likely_to_fail(parts)
    for failed in (likely, not likely):
        with CatalogueObjects(run, failed=failed) as objects:
            merged = _merge(task, run, parts, objects)
            requests = run.objects.requests.since(before)
            summary = summarise(task, parts, merged, announced, requests, time.time())
            if objects.commit(failed=summary.status.state is State.FAILED):
                return merged, summary
    raise TransientError(f"the shards of {run.folder.run} changed while they were read")


def _merge(
    task: AggregateTask, run: RunStore, parts: RunParts, objects: CatalogueObjects
) -> Merged:
    plan = parts.plan
    origin = provenance(plan, task, Merged())
    ids, bands = plan.id_bytes, plan.model.bands
    with CatalogueWriter(objects.parquet, objects.fits, origin, ids, bands) as catalogue:
        merged = merge_rows(read_rows(run, parts), catalogue, plan)
        catalogue.finish(provenance(plan, task, merged))
    return merged
