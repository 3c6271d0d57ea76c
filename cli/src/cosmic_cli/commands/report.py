"""`cosmic report`: a run's page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cosmic.contracts.layout import RunFolder
from cosmic.errors import InputError
from cosmic_cli.commands.results import Into
from cosmic_cli.download import fetch, open_file
from cosmic_cli.exit_codes import out, show_json
from cosmic_cli.options import AsJson, on_run
from cosmic_cli.target import Target
from cosmic_cli.views.status import status_of

PAGE = "report.html"


@on_run
def report(
    target: Target,
    folder: RunFolder,
    into: Into = Path("results"),
    opened: Annotated[bool, typer.Option("--open", help="Open it in the browser.")] = False,
    as_json: AsJson = False,
) -> None:
    """Copy a run's report, one page with its figures, timeline and bill, here.

    Example: cosmic report demo-0123456789ab --open --local

    JSON: {"run", "report": path}
    """
    status = status_of(target, folder)
    if PAGE not in status.outputs:
        message = f"{folder.run} is {status.state.value} and has no {PAGE}"
        hint = f"`{target.command('status', folder.run)}` says what there is"
        raise InputError(message, code="no-report", hint=hint)
    path = fetch(target.store(), folder, [PAGE], into) / PAGE
    if as_json:
        show_json({"run": folder.run, "report": str(path)})
    else:
        out.print(str(path), highlight=False, soft_wrap=True)
    if opened:
        open_file(path)
