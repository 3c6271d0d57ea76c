"""The end of every run: read what the ranks left, summarise it, publish it."""

from __future__ import annotations

import time
from pathlib import Path
from typing import NamedTuple

from cosmic.contracts.status import State, Status
from cosmic.report.render import PageRender, with_page
from cosmic.results.catalogue_files import CatalogueWriter
from cosmic.results.merge import merge_rows
from cosmic.results.publish import publish
from cosmic.results.read_run import read_rows, read_run
from cosmic.results.summarise import provenance, summarise
from cosmic.results.table import IN_TABLE, place_in_table, write_table_rows
from cosmic.results.task import AggregateTask
from cosmic.storage.objects import Store
from cosmic.storage.run_store import RunStore


class RunEnd(NamedTuple):
    """The status of a run, and whether it is this call that gave it this end."""

    status: Status
    new: bool


def aggregate(task: AggregateTask, store: Store, scratch: Path, table_prefix: str = "") -> RunEnd:
    """Merge a run's shards and write its catalogue, metrics and status, in this order.

    The page is made after that, so that nobody who wants the catalogue waits for it; then the
    status is written again, with the page among its outputs. Where the run has been resumed
    since, what its new execution says stands, and this one ends. So does what an execution has
    said before it failed, where that is the reason to ask.

    Args:
        task: Which run.
        store: S3.
        scratch: Folder for files before they are uploaded.
        table_prefix: Where the rows go too, for queries over all runs; empty: nowhere.

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
    parquet, fits = scratch / "catalogue.parquet", scratch / "catalogue.fits"
    with CatalogueWriter(parquet, fits, parts.plan.id_bytes) as catalogue:
        merged = merge_rows(read_rows(run, parts), catalogue, parts.plan)
        catalogue.finish(provenance(parts.plan, task, merged))
    requests = store.requests.since(before)
    summary = summarise(task, parts, merged, announced, requests, time.time())
    state, metrics = summary.status.state, summary.metrics
    outputs = publish(run, parts, state, parquet, fits, metrics)
    if table_prefix and state in IN_TABLE:
        rows = scratch / "table.parquet"
        write_table_rows(parquet, parts.plan.run, rows)
        bucket, started_at_s = task.folder.bucket, task.run_started_at_s
        store.upload(rows, place_in_table(bucket, table_prefix, parts.plan, started_at_s))
    status = summary.status.model_copy(update={"outputs": outputs})
    written = writer.write(status)
    if written:
        page = PageRender(parts.plan, parts.records, metrics, merged.redshifts, merged.flagged)
        writer.write(with_page(status, page, run, scratch, task.ends_at_s))
    if state is State.SUCCEEDED:
        run.release_shards()
    return RunEnd(writer.found or status, written)
