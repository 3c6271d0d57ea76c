"""A run's status, found and shown."""

from __future__ import annotations

import json
from dataclasses import asdict

import typer

from cosmic.contracts.layout import RunFolder
from cosmic.contracts.status import Status
from cosmic.errors import InputError
from cosmic_cli.exit_codes import of_status, out, show_json
from cosmic_cli.observing import read_status
from cosmic_cli.progress import Progress
from cosmic_cli.target import Target
from cosmic_cli.views.run import progress_line, show_problems, summary_table


def status_of(target: Target, folder: RunFolder) -> Status:
    """A run's status.

    Raises:
        InputError: there is no such run.
    """
    status = read_status(target.store(), folder)
    if status is None:
        hint = "check its id, and --prefix if the manifest has an output.prefix"
        message = f"no run {folder.run} under s3://{folder.bucket}/{folder.prefix}"
        raise InputError(message, code="no-run", hint=hint)
    return status


def show_status(
    target: Target,
    folder: RunFolder,
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
        _show_text(target, folder, status)
        if progress is not None:
            out.print(progress_line(progress), markup=False, highlight=False, soft_wrap=True)
    raise typer.Exit(of_status(status))


def _show_text(target: Target, folder: RunFolder, status: Status) -> None:
    if not status.outputs:
        out.print(f"{status.run}: {status.state.value}", highlight=False)
    else:
        metrics = json.loads(target.store().get(folder.metrics))
        out.print(summary_table(status, metrics))
    show_problems(status, out)
    for name, uri in status.outputs.items():
        out.print(f"{name}: {uri}", highlight=False, soft_wrap=True)
