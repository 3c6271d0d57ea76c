"""The end of every run: read what the ranks left, summarise it, publish it."""

from __future__ import annotations

import time
from pathlib import Path

from cosmic.contracts.status import State, Status
from cosmic.report.render import PageRender, with_page
from cosmic.results.catalogue_files import CatalogueWriter
from cosmic.results.merge import merge_rows
from cosmic.results.publish import publish
from cosmic.results.read_run import read_rows, read_run
from cosmic.results.summarise import provenance, summarise
from cosmic.results.task import AggregateTask
from cosmic.storage.objects import Store
from cosmic.storage.run_store import RunStore


def aggregate(task: AggregateTask, store: Store, scratch: Path) -> Status:
    """Merge a run's shards and write its catalogue, metrics and status, in this order.

    The page is made after that, so that nobody who wants the catalogue waits for it; then the
    status is written again, with the page among its outputs. Where the run has been resumed
    since, what its new execution says stands, and this one ends.

    Args:
        task: Which run.
        store: S3.
        scratch: Folder for files before they are uploaded.

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
    parquet, fits = scratch / "catalogue.parquet", scratch / "catalogue.fits"
    with CatalogueWriter(parquet, fits, parts.plan.id_bytes) as catalogue:
        merged = merge_rows(read_rows(run, parts), catalogue, parts.plan)
        catalogue.finish(provenance(parts.plan, task, merged))
    requests = store.requests.since(before)
    summary = summarise(task, parts, merged, announced, requests, time.time())
    state, metrics = summary.status.state, summary.metrics
    outputs = publish(run, parts, state, parquet, fits, metrics)
    status = summary.status.model_copy(update={"outputs": outputs})
    if writer.write(status):
        seen = (merged.redshifts, merged.flagged, merged.sky)
        page = PageRender(parts.plan, parts.records, metrics, *seen)
        writer.write(with_page(status, page, run, scratch, task.ends_at_s))
    if state is State.SUCCEEDED:
        run.release_shards()
    return writer.found or status
