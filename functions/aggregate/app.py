"""`aggregate`: the ranks' shards become the catalogue, its metrics, the bill and the page."""

from __future__ import annotations

import os
from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from cosmic.contracts.status import State
from cosmic.heap import bound_heap
from cosmic.results.aggregate import aggregate
from cosmic.results.task import AggregateTask
from cosmic.storage.objects import Store, s3_client
from cosmic.storage.scratch import scratch_folder, sweep

bound_heap()
logger = Logger(service="aggregate")
metrics = Metrics(service="aggregate")
store = Store(s3_client())
table_prefix = os.environ.get("COSMIC_TABLE_PREFIX", "")
if swept := sweep():
    logger.warning("removed what a killed process left", folders=swept)


@logger.inject_lambda_context
@metrics.log_metrics
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Merge the run that the event names and say what became of it."""
    task = AggregateTask.from_event(
        event,
        memory_mb=int(context.memory_limit_in_mb),
        remaining_s=context.get_remaining_time_in_millis() / 1000,
    )
    with scratch_folder() as scratch:
        status, new = aggregate(task, store, scratch, table_prefix)
    if not new:
        logger.info("run ended by another", run=status.run, execution=status.execution)
        return {"run": status.run, "state": status.state}
    metrics.add_metric("RowsOut", MetricUnit.Count, status.rows_out or 0)
    metrics.add_metric("RunsFailed", MetricUnit.Count, int(status.state is State.FAILED))
    log = logger.error if status.state is State.FAILED else logger.info
    log("run ended", run=status.run, state=status.state, problems=status.problems)
    return {"run": status.run, "state": status.state}
