"""`cosmic results`: a run's catalogue and metrics, copied here."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cosmic.client.run import Run
from cosmic_cli.exit_codes import out, show_json
from cosmic_cli.open_file import open_file
from cosmic_cli.options import AsJson, on_run

Into = Annotated[Path, typer.Option(help="Folder to copy to; a subfolder is made for the run.")]


@on_run
def results(
    run: Run,
    into: Into = Path("results"),
    opened: Annotated[bool, typer.Option("--open", help="Open the folder afterwards.")] = False,
    as_json: AsJson = False,
) -> None:
    """Copy a run's catalogue, metrics, report, plan and status to this machine.

    Example: cosmic results demo-0123456789ab --into results --local

    JSON: {"run", "folder", "files": [{"name", "path", "bytes"}]}
    """
    place = run.results(into)
    if as_json:
        files = [
            {"name": p.name, "path": str(p), "bytes": p.stat().st_size}
            for p in sorted(place.iterdir())
        ]
        show_json({"run": run.id, "folder": str(place), "files": files})
    else:
        out.print(str(place), highlight=False, soft_wrap=True)
    if opened:
        open_file(place)
