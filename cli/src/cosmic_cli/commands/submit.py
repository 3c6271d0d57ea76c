"""`cosmic submit`: a manifest into the bucket, which starts a run."""

from __future__ import annotations

from typing import Annotated

import typer

from cosmic.client.deployment import Deployment
from cosmic_cli.exit_codes import out, show_json
from cosmic_cli.follow import follow_to_end
from cosmic_cli.options import AsJson, ManifestFile, MaxCost, RowsPerS, on_deployment
from cosmic_cli.views.status import show_status


@on_deployment
def submit(
    deployment: Deployment,
    manifest: ManifestFile,
    max_cost: MaxCost = None,
    rows_per_s: RowsPerS = None,
    wait: Annotated[bool, typer.Option("--wait", help="Follow the run to its end.")] = False,
    as_json: AsJson = False,
) -> None:
    """Upload a manifest to the bucket, which starts a run.

    With --wait, the exit code says how the run ended. A run that is expected to cost more than
    --max-cost is rejected; the expected cost follows from --rows-per-s, which `cosmic tune`
    measures. Without it, the most that the run may cost is compared, as `cosmic plan` shows it.

    Example: cosmic submit manifest.json --wait --local

    JSON: {"run", "status": URI of its status.json}; with --wait as `cosmic status`
    """
    run = deployment.submit(manifest, max_cost_usd=max_cost, rows_per_s=rows_per_s)
    if wait:
        show_status(run, follow_to_end(run), as_json=as_json)
    elif as_json:
        show_json({"run": run.id, "status": run.uri})
    else:
        out.print(run.id, highlight=False)
