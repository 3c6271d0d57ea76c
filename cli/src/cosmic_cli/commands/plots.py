"""`cosmic plots`: a run's standard plots as PNG and PDF."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from cosmic.errors import InputError
from cosmic_cli.exit_codes import out, show_json
from cosmic_cli.options import AsJson


def plots(
    results: Annotated[Path, typer.Argument(help="Folder that `cosmic results` copied to.")],
    into: Annotated[Path, typer.Option(help="Folder for the plots.")] = Path("plots"),
    as_json: AsJson = False,
) -> None:
    """Draw a run's standard plots, ready for a paper, as PNG and PDF.

    Example: cosmic plots results/demo-0123456789ab --into figures

    JSON: {"plots": [path]}
    """
    from cosmic.report.paper_figures import write_plots

    catalogue, metrics = results / "catalogue.parquet", results / "metrics.json"
    for needed in (catalogue, metrics):
        if not needed.is_file():
            hint = "copy the run's results here with `cosmic results RUN`"
            raise InputError(f"{needed} does not exist", code="not-found", hint=hint)
    paths = [str(p) for p in write_plots(catalogue, json.loads(metrics.read_bytes()), into)]
    if as_json:
        show_json({"plots": paths})
        return
    for path in paths:
        out.print(path, highlight=False, soft_wrap=True)
