"""`infer`: one rank of a run."""

from __future__ import annotations

import gc
import os
import time
from typing import Any

# Before numpy and pydantic are imported. One thread folds the weights: two share a vCPU on Lambda,
# each waiting for the other at its expense, and how many there are shows in the last bits.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")  # else all packages are searched
gc.disable()  # what is imported stays: looking for garbage in it finds none

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from cosmic.ranks.environment import RankEnvironment
from cosmic.ranks.run_rank import run_rank, withdraw_rank
from cosmic.ranks.task import RankTask
from cosmic.storage.clients import aws_client
from cosmic.storage.objects import Store, s3_client
from cosmic.storage.scratch import sweep

logger = Logger(service="infer")
metrics = Metrics(service="infer")
function = RankEnvironment.from_environment(
    os.environ, Store(s3_client()), aws_client("secretsmanager")
)
gc.freeze()
gc.enable()
if swept := sweep():
    logger.warning("removed what a killed process left", folders=swept)


@logger.inject_lambda_context
@metrics.log_metrics
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Run the rank that the event names, or tell the others that it failed for good."""
    task = RankTask.model_validate(event)
    logger.append_keys(run=task.run, rank=task.rank, attempt=task.attempt)
    if task.failure:
        withdraw_rank(task, function, task.failure)
        return {"rank": task.rank, "withdrawn": True}
    deadline = time.monotonic() + context.get_remaining_time_in_millis() / 1000
    record = run_rank(task, function, deadline)
    metrics.add_metric("RowsInferred", MetricUnit.Count, record.rows)
    metrics.add_metric("FmiDegraded", MetricUnit.Count, int(record.fmi == "degraded"))
    logger.info("rank done", rows=record.rows, fmi=record.fmi, fmi_error=record.fmi_error)
    return {"rank": record.rank, "rows": record.rows, "fmi": record.fmi}
