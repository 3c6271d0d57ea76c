"""`cosmic compare`: two runs side by side."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from cosmic.client.defaults import PREFIX
from cosmic.client.deployment import Deployment
from cosmic.results import compare as comparing
from cosmic.results.compare import Compared, read_metrics
from cosmic_cli.exit_codes import out, show_json
from cosmic_cli.options import AsJson, Prefix, on_deployment_if_needed
from cosmic_cli.views.tables import whole_table

RUN_HELP = "A run's id, or the folder or metrics.json of one on this machine."


@on_deployment_if_needed
def compare(
    deployment: Callable[[], Deployment],
    first: Annotated[str, typer.Argument(metavar="RUN", help=RUN_HELP)],
    second: Annotated[str, typer.Argument(metavar="RUN", help="The other one.")],
    prefix: Prefix = PREFIX,
    as_json: AsJson = False,
) -> None:
    """Compare two runs: redshifts, p(z), flags, time and cost.

    Differences are the second run less the first.

    Example: cosmic compare demo-0123456789ab demo-ba9876543210 --local

    JSON: {"first", "second", "figures": [{"name", "unit", "first", "second", "difference"}]}
    """

    def metrics(run: str) -> dict[str, Any]:
        if Path(run).exists():
            return read_metrics(run)
        return deployment().run(run, prefix).metrics()

    found = comparing.compare(metrics(first), metrics(second))
    if as_json:
        figures = [{**asdict(c), "difference": c.difference} for c in found]
        show_json({"first": first, "second": second, "figures": figures})
    else:
        out.print(compared_table(found, first, second))


def compared_table(found: list[Compared], first: str, second: str) -> Table:
    """What two runs have in common, side by side."""
    table = whole_table("", first, second, "difference")
    for column in table.columns[1:]:
        column.justify = "right"
    for c in found:
        if c.first is not None or c.second is not None:
            name = f"{c.name} ({c.unit})" if c.unit else c.name
            table.add_row(name, _shown(c.first), _shown(c.second), _shown(c.difference, "+"))
    return table


def _shown(value: float | None, sign: str = "") -> str:
    if value is None:
        return "–"
    return f"{value:{sign},d}" if isinstance(value, int) else f"{value:{sign}.5g}"
