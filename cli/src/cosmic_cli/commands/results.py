"""`cosmic results`: a run's catalogue and metrics, copied here."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cosmic.contracts.layout import RunFolder
from cosmic.errors import InputError
from cosmic_cli.download import download, open_file
from cosmic_cli.exit_codes import out, show_json
from cosmic_cli.options import AsJson, on_run
from cosmic_cli.target import Target
from cosmic_cli.views.status import status_of

Into = Annotated[Path, typer.Option(help="Folder to copy to; the run gets one of its own in it.")]


@on_run
def results(
    target: Target,
    folder: RunFolder,
    into: Into = Path("results"),
    opened: Annotated[bool, typer.Option("--open", help="Open the folder afterwards.")] = False,
    as_json: AsJson = False,
) -> None:
    """Copy a run's catalogue, metrics, report, plan and status here.

    Example: cosmic results demo-0123456789ab --into results --local

    JSON: {"run", "folder", "files": [{"name", "path", "bytes"}]}
    """
    status = status_of(target, folder)
    if not status.outputs:
        message = f"{folder.run} is {status.state.value} and has no results"
        hint = f"`{target.command('status', folder.run)}` says why"
        raise InputError(message, code="not-found", hint=hint)
    place = download(target.store(), folder, status, into)
    if as_json:
        files = [
            {"name": p.name, "path": str(p), "bytes": p.stat().st_size}
            for p in sorted(place.iterdir())
        ]
        show_json({"run": folder.run, "folder": str(place), "files": files})
    else:
        out.print(str(place), highlight=False, soft_wrap=True)
    if opened:
        open_file(place)
