"""The one table over all runs: what a query engine finds without knowing the runs.

Under `<prefix>day=<UTC day on which the run was planned>/<run>.parquet`, so that Hive's partitions
and Athena's partition projection find each catalogue by its day, and none twice. The table has
the magnitudes u, g, r, i and z: those of other bands are in the run's own catalogue alone, and
those that a run lacks are null.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from cosmic.contracts.catalogue_schema import SCHEMA as CATALOGUE
from cosmic.contracts.location import Location
from cosmic.contracts.plan import Plan
from cosmic.contracts.status import State
from cosmic.storage.interfaces import Output
from cosmic.storage.object_file import ObjectFile

IN_TABLE = (State.SUCCEEDED, State.PARTIAL)
SCHEMA = pa.schema(
    [
        pa.field("run", pa.string(), nullable=False),
        # Numbers in one run and text in another are one column here.
        pa.field("object_id", pa.string(), nullable=False),
        *(pa.field(f.name, f.type) for f in CATALOGUE if f.name != "object_id"),
    ]
)


def place_in_table(bucket: str, prefix: str, plan: Plan, run_started_at_s: float) -> Location:
    """Where a run's rows lie; the same for every execution of the run.

    Args:
        bucket: The data bucket.
        prefix: The table's, with its last slash.
        plan: Of the run.
        run_started_at_s: Decides for plans of earlier versions, which have no date.
    """
    started = datetime.fromtimestamp(run_started_at_s, UTC)
    day = datetime.fromisoformat(plan.planned_at).date() if plan.planned_at else started.date()
    return Location(bucket, f"{prefix}day={day.isoformat()}/{plan.run}.parquet")


def write_table_rows(catalogue: Path | ObjectFile, run: str, out: Path | Output) -> None:
    """Write a catalogue's rows as the table has them, one row group at a time."""
    with (
        pq.ParquetFile(catalogue, pre_buffer=True) as source,
        pq.ParquetWriter(out, SCHEMA, compression="zstd") as table,
    ):
        for group in range(source.num_row_groups):
            rows = source.read_row_group(group)
            named = rows.add_column(0, "run", pa.repeat(run, rows.num_rows))
            table.write_table(_in_schema(named))


def _in_schema(rows: pa.Table) -> pa.Table:
    """The table's columns; those that the rows lack are null."""
    for field in SCHEMA:
        if field.name not in rows.column_names:
            rows = rows.append_column(field, pa.nulls(rows.num_rows, field.type))
    return rows.select(SCHEMA.names).cast(SCHEMA)
