"""`cosmic runs`: which runs there are."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer
from rich.table import Table

from cosmic.client.defaults import PREFIX
from cosmic.client.deployment import Deployment
from cosmic.client.list_runs import ListedRun
from cosmic_cli.exit_codes import out, show_json
from cosmic_cli.options import AsJson, Prefix, on_deployment
from cosmic_cli.views.tables import whole_table


@on_deployment
def runs(
    deployment: Deployment,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many to list.")] = 20,
    prefix: Prefix = PREFIX,
    as_json: AsJson = False,
) -> None:
    """List the runs, latest first.

    A rejected manifest started no run and is not listed; `cosmic status` shows it.

    Example: cosmic runs --limit 5 --local

    JSON: {"runs": [{"run", "state", "execution", "started_at", "stopped_at", "rows_in",
    "rows_out", "world_size"}]}
    """
    found = deployment.runs(limit, prefix)
    if as_json:
        show_json({"runs": [asdict(run) for run in found]})
    else:
        out.print(runs_table(found))


def runs_table(found: list[ListedRun]) -> Table:
    """A row a run."""
    names = ("run", "state", "started (UTC)", "ranks", "rows out / in")
    table = whole_table(*names)
    for run in found:
        rows = f"{_shown(run.rows_out)} / {_shown(run.rows_in)}"
        started = run.started_at[:19].replace("T", "\n")
        table.add_row(run.run, run.state, started, _shown(run.world_size), rows)
    return table


def _shown(number: int | None) -> str:
    return "" if number is None else str(number)
