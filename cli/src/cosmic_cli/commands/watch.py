"""`cosmic watch`: follow a run to its end."""

from __future__ import annotations

from cosmic.client.run import Run
from cosmic_cli.follow import follow_to_end
from cosmic_cli.options import AsJson, on_run
from cosmic_cli.views.status import show_status


@on_run
def watch(run: Run, as_json: AsJson = False) -> None:
    """Follow a run to its end: ranks, rows per second, time left, cost so far.

    Progress goes to stderr. Ctrl-C stops following; the run continues. The exit code says how the
    run ended.

    Example: cosmic watch demo-0123456789ab --local

    JSON: as `cosmic status`, once it has ended
    """
    run.status()
    show_status(run, follow_to_end(run), as_json=as_json)
