"""`cosmic resume`: what a run lacks, computed after all."""

from __future__ import annotations

from typing import Annotated

import typer

from cosmic.client.run import Run
from cosmic_cli.exit_codes import err, out, show_json
from cosmic_cli.follow import follow_to_end
from cosmic_cli.options import AsJson, on_run
from cosmic_cli.views.status import show_status


@on_run
def resume(
    run: Run,
    wait: Annotated[bool, typer.Option("--wait", help="Follow the run to its end.")] = False,
    as_json: AsJson = False,
) -> None:
    """Compute the missing ranks of a failed, partial or cancelled run, and merge again.

    A rank is recomputed unless its shard has the checksum that its record gives, or, if it ended
    before it wrote one, the checksum that the shard was uploaded with. Recomputed ranks do not
    communicate with each other. If no rank is missing, only the merge is repeated. If the
    partitions of all missing ranks have changed since the run was planned, nothing is started:
    submit the manifest again.

    Example: cosmic resume demo-0123456789ab --wait --local

    JSON: {"run", "ranks": computed anew, "execution"}; with --wait as `cosmic status`
    """
    resumed = run.resume()
    what = f"computing {len(resumed.ranks)} ranks" if resumed.ranks else "merging"
    err.print(f"{run.id}: {what} again", highlight=False)
    if wait:
        show_status(run, follow_to_end(run), as_json=as_json)
    elif as_json:
        facts = {"run": run.id, "ranks": list(resumed.ranks)}
        show_json({**facts, "execution": resumed.execution or None})
    else:
        out.print(run.id, highlight=False)
