"""Plans of runs of which S3 has nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cosmic.contracts.plan import Plan, PlannedModel, PlannedPartition, share_rows


def small_plan(
    rows: Sequence[int],
    world_size: int = 1,
    batch_size: int = 64,
    *,
    row_bytes: int = 1,
    model_bytes: int = 1,
    **changes: Any,
) -> Plan:
    """A plan whose ranks don't communicate.

    Args:
        rows: Rows of each partition.
        world_size: Ranks that share them.
        batch_size: Rows that the model takes at once.
        row_bytes: Size of a row.
        model_bytes: Size of the checkpoint.
        changes: Values of other fields.
    """
    place: dict[str, Any] = {"bucket": "b", "etag": "e"}
    fields: dict[str, Any] = {
        "run": "r",
        "dataset": "s3://d/",
        "model": PlannedModel(key="m", bytes=model_bytes, sha256="0" * 64, **place),
        "partitions": tuple(
            PlannedPartition(key=str(i), bytes=1, rows=n, row_bytes=row_bytes, **place)
            for i, n in enumerate(rows)
        ),
        "ranks": tuple(share_rows(rows, world_size, batch_size)),
        "batch_size": batch_size,
        "channel": "none",
        "fmi_timeout_s": 1,
        "failed_rows_percent": 0,
        "gather": False,
    }
    return Plan(**{**fields, **changes})
