"""`cosmic report`: a run's page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cosmic.client.run import Run
from cosmic_cli.commands.results import Into
from cosmic_cli.exit_codes import out, show_json
from cosmic_cli.open_file import open_file
from cosmic_cli.options import AsJson, on_run


@on_run
def report(
    run: Run,
    into: Into = Path("results"),
    opened: Annotated[bool, typer.Option("--open", help="Open it in the browser.")] = False,
    as_json: AsJson = False,
) -> None:
    """Copy a run's report to this machine: one page with its figures, timeline and bill.

    Example: cosmic report demo-0123456789ab --open --local

    JSON: {"run", "report": path}
    """
    path = run.report(into)
    if as_json:
        show_json({"run": run.id, "report": str(path)})
    else:
        out.print(str(path), highlight=False, soft_wrap=True)
    if opened:
        open_file(path)
