"""The end of every run: read what the ranks left, summarise it, publish it."""

from __future__ import annotations

import time
from pathlib import Path

from cosmic.contracts.status import State, Status
from cosmic.errors import TransientError
from cosmic.report.render import PageRender, with_page
from cosmic.results.catalogue_files import CatalogueWriter
from cosmic.results.merge import Merged, merge_rows
from cosmic.results.publish import CatalogueObjects, publish
from cosmic.results.read_run import RunParts, read_rows, read_run
from cosmic.results.summarise import Summary, likely_to_fail, provenance, summarise
from cosmic.results.task import AggregateTask
from cosmic.storage.objects import Requests, Store
from cosmic.storage.run_store import RunStore


def aggregate(task: AggregateTask, store: Store, scratch: Path) -> Status:
    """Merge a run's shards and write its catalogue, metrics and status, in this order.

    The page is made after that, so that nobody who wants the catalogue waits for it; then the
    status is written again, with the page among its outputs. Where the run has been resumed
    since, what its new execution says stands, and this one ends.

    Args:
        task: Which run.
        store: S3.
        scratch: Folder for the page before it is uploaded.

    Returns:
        The run's status as it is then.

    Raises:
        TransientError: S3 failed; calling again does the same again.
    """
    before = store.requests  # the store outlives runs in a warm environment
    run = RunStore(store, task.folder)
    writer = run.status_writer(task.execution)
    if writer.successor:
        return writer.successor
    parts = read_run(run)
    announced = writer.found.warnings if writer.found else parts.plan.announced
    merged, summary = _write_catalogue(task, run, parts, announced, before)
    state, metrics = summary.status.state, summary.metrics
    outputs = publish(run, parts, state, metrics)
    status = summary.status.model_copy(update={"outputs": outputs})
    if writer.write(status):
        page = PageRender(parts.plan, parts.records, metrics, merged.counts, merged.flagged)
        writer.write(with_page(status, page, run, scratch, task.ends_at_s))
    if state is State.SUCCEEDED:
        run.release_shards()
    return writer.found or status


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
    with CatalogueWriter(objects.parquet, objects.fits, origin, plan.id_bytes) as catalogue:
        merged = merge_rows(read_rows(run, parts), catalogue, plan)
        catalogue.finish(provenance(plan, task, merged))
    return merged
