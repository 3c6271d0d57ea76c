"""`cosmic status`: what became of a run, or how far it has come."""

from __future__ import annotations

from cosmic.client.run import Run
from cosmic_cli.options import AsJson, on_run
from cosmic_cli.views.status import show_status


@on_run
def status(run: Run, as_json: AsJson = False) -> None:
    """Show how a run ended, or how far it has come.

    Exit code: 0 succeeded or still running, 1 failed, 2 rejected, 3 partial.

    Example: cosmic status demo-0123456789ab --local

    JSON: status.json, and while it runs "progress": {"phase", "ranks", "queued", "running",
    "done", "failed", "rows", "rows_done", "rows_per_s", "eta_s", "usd", "elapsed_s"}
    """
    found = run.status()
    progress = None if found.state.final else run.look().progress
    show_status(run, found, as_json=as_json, progress=progress)
