"""`cosmic status`: what became of a run, or how far it has come."""

from __future__ import annotations

from cosmic.contracts.layout import RunFolder
from cosmic_cli.observing import Observer
from cosmic_cli.options import AsJson, on_run
from cosmic_cli.target import Target
from cosmic_cli.views.status import show_status, status_of


@on_run
def status(target: Target, folder: RunFolder, as_json: AsJson = False) -> None:
    """Say what became of a run, or how far it has come.

    The exit code is that of its end: 0 succeeded or still running, 1 failed, 2 rejected, 3 partial.

    Example: cosmic status demo-0123456789ab --local

    JSON: status.json, and while it runs "progress": {"phase", "ranks", "queued", "running",
    "done", "failed", "rows", "rows_done", "rows_per_s", "eta_s", "usd", "elapsed_s"}
    """
    found = status_of(target, folder)
    progress = None if found.state.final else Observer(target, folder).look().progress
    show_status(target, folder, found, as_json=as_json, progress=progress)
