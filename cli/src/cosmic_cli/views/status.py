"""A run's status, as people and programs see it."""

from __future__ import annotations

from dataclasses import asdict

import typer

from cosmic.client.progress import Progress
from cosmic.client.run import Run
from cosmic.contracts.status import Status
from cosmic_cli.exit_codes import of_status, out, show_json
from cosmic_cli.views.run import progress_line, show_problems, summary_table


def show_status(
    run: Run,
    status: Status,
    *,
    as_json: bool,
    progress: Progress | None = None,
) -> None:
    """Print a status and how far the run has come, and end with the exit code of what it says."""
    if as_json:
        document = status.model_dump(mode="json")
        show_json(document if progress is None else {**document, "progress": asdict(progress)})
    else:
        _show_text(run, status)
        if progress is not None:
            out.print(progress_line(progress), markup=False, highlight=False, soft_wrap=True)
    raise typer.Exit(of_status(status))


def _show_text(run: Run, status: Status) -> None:
    if not status.outputs:
        out.print(f"{status.run}: {status.state.value}", highlight=False)
    else:
        out.print(summary_table(status, run.metrics()))
    show_problems(status, out)
    for name, uri in status.outputs.items():
        out.print(f"{name}: {uri}", highlight=False, soft_wrap=True)
