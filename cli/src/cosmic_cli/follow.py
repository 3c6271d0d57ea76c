"""Following a run to its end, with Ctrl-C leaving it alone."""

from __future__ import annotations

from cosmic.client.run import Run
from cosmic.contracts.status import Status
from cosmic_cli.exit_codes import Interrupted, err
from cosmic_cli.views.run import show_progress


def follow_to_end(run: Run) -> Status:
    """Show how a run comes on, on stderr, until it has ended.

    Returns:
        Its final status.

    Raises:
        Interrupted: Ctrl-C; the run goes on.
        TransientError: it doesn't come on any more.
    """
    try:
        return show_progress(run.watch(), err)
    except KeyboardInterrupt as error:
        stop, wait = (run.stack.command(word, run.id) for word in ("cancel", "watch"))
        hint = f"`{stop}` stops it, `{wait}` follows it again"
        raise Interrupted(
            f"stopped following {run.id}, which is still running", hint=hint
        ) from error
