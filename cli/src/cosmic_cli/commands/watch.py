"""`cosmic watch`: follow a run to its end."""

from __future__ import annotations

from cosmic.contracts.layout import RunFolder
from cosmic_cli.follow import follow_to_end
from cosmic_cli.options import AsJson, on_run
from cosmic_cli.target import Target
from cosmic_cli.views.status import show_status, status_of


@on_run
def watch(target: Target, folder: RunFolder, as_json: AsJson = False) -> None:
    """Follow a run to its end: ranks, rows a second, time left, cost so far.

    Progress goes to stderr. Ctrl-C stops following and leaves the run alone. The exit code is that
    of the run's end.

    Example: cosmic watch demo-0123456789ab --local

    JSON: as `cosmic status`, once it has ended
    """
    status_of(target, folder)
    show_status(target, folder, follow_to_end(target, folder), as_json=as_json)
