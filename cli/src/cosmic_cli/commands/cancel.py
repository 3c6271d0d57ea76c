"""`cosmic cancel`: stop a run."""

from __future__ import annotations

from cosmic.client.run import Run
from cosmic_cli.exit_codes import out, show_json
from cosmic_cli.follow import follow_to_end
from cosmic_cli.options import AsJson, on_run
from cosmic_cli.views.run import show_problems


@on_run
def cancel(run: Run, as_json: AsJson = False) -> None:
    """Stop a run, and wait until it has stopped.

    No further rank is started. On AWS, running ranks finish (in at most 15 minutes) and are billed;
    the local stack kills them. Finished ranks are merged into catalogue.partial.*; `cosmic resume`
    computes the rest.

    Example: cosmic cancel demo-0123456789ab --local

    JSON: {"run", "execution", "status": as `cosmic status`}
    """
    execution = run.cancel()
    status = follow_to_end(run)
    if as_json:
        facts = {"run": run.id, "execution": execution}
        show_json({**facts, "status": status.model_dump(mode="json")})
        return
    rows = f"{status.rows_out or 0} of {status.rows_in} rows have a prediction"
    out.print(f"{run.id} is stopped: {rows}", highlight=False)
    show_problems(status, out)
    out.print(f"`{run.stack.command('resume', run.id)}` computes the rest", highlight=False)
