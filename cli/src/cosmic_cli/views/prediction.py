"""What people see of a prediction on this machine."""

from __future__ import annotations

from collections.abc import Iterator

from rich.table import Table

from cosmic.report.formatting import percent
from cosmic.workstation.predict import Prediction
from cosmic_cli.views.run import domain_rows, photo_z_rows, pz_rows
from cosmic_cli.views.tables import pairs_table


def prediction_table(made: Prediction) -> Table:
    """The short table at the end."""
    table = pairs_table(f"{made.out}: {made.status.state.value}")
    for name, value in _rows(made):
        table.add_row(name, value)
    return table


def _rows(made: Prediction) -> Iterator[tuple[str, str]]:
    status, metrics, run = made.status, made.metrics, made.metrics["run"]
    rows = status.rows_out or 0
    yield "objects", f"{rows:,}, {status.rows_flagged or 0:,} of them flagged"
    for name, count in metrics["flags"].items():
        if count:
            yield f"  {name}", f"{count:,} ({percent(count / rows)})"
    yield from domain_rows(metrics)
    yield from photo_z_rows(metrics["photo_z"])
    yield from pz_rows(metrics)
    threads = ", ".join(map(str, run["threads"]))
    yield "wall time", f"{run['wall_s']:,.1f} s, {run['rows_per_wall_s']:,.0f} rows/s"
    yield "in the model", f"{run['rows_per_compute_s']:,.0f} rows/s, threads: {threads}"
    yield "peak memory", f"{run['peak_memory_mb']:,} MiB"
