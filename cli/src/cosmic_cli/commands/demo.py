"""`cosmic demo`: the whole job, once, on this machine."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from cosmic_cli.demo import DemoOptions, run_demo
from cosmic_cli.exit_codes import err, of_status, out, show_json
from cosmic_cli.options import AsJson
from cosmic_cli.views.run import show_problems, summary_table


def demo(
    root: Annotated[Path, typer.Option(help="The project's folder.")] = Path(),
    results: Annotated[Path, typer.Option(help="Folder for the results.")] = Path("cosmic-demo"),
    world_size: Annotated[int, typer.Option(min=1, help="Number of ranks.")] = 4,
    objects: Annotated[
        int | None, typer.Option(min=1, help="Number of galaxies; all by default.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Run the whole pipeline once on this machine, on real photometry and redshifts.

    Example: cosmic demo --world-size 2

    JSON: {"status": as `cosmic status`, "metrics": as metrics.json, "results": folder}
    """
    options = DemoOptions(root.resolve(), results, world_size, objects)
    status, place = run_demo(options, err)
    metrics_file = place / "metrics.json"
    metrics = json.loads(metrics_file.read_text()) if metrics_file.exists() else None
    if as_json:
        document = {"status": status.model_dump(mode="json"), "metrics": metrics}
        show_json({**document, "results": str(place)})
    else:
        if metrics is not None:
            out.print(summary_table(status, metrics))
        show_problems(status, out)
        out.print(f"results: {place}", highlight=False, soft_wrap=True)
    raise typer.Exit(of_status(status))
