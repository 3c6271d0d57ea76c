"""Following a run to its end, with Ctrl-C leaving it alone."""

from __future__ import annotations

from cosmic.contracts.layout import RunFolder
from cosmic.contracts.status import Status
from cosmic_cli.exit_codes import Interrupted, err
from cosmic_cli.submission import follow
from cosmic_cli.target import Target
from cosmic_cli.views.run import show_progress


def follow_to_end(target: Target, folder: RunFolder) -> Status:
    """Show how a run comes on, on stderr, until it has ended.

    Returns:
        Its final status.

    Raises:
        Interrupted: Ctrl-C; the run goes on.
        TransientError: it doesn't come on any more.
    """
    try:
        return show_progress(follow(target, folder), err)
    except KeyboardInterrupt as error:
        run = folder.run
        hint = f"`{target.command('cancel', run)}` stops it, `{target.command('watch', run)}` waits"
        raise Interrupted(f"no longer following {run}, which goes on", hint=hint) from error
