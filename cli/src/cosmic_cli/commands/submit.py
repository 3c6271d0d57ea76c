"""`cosmic submit`: a manifest into the bucket, which starts a run."""

from __future__ import annotations

from typing import Annotated

import typer

from cosmic_cli.exit_codes import out, show_json
from cosmic_cli.follow import follow_to_end
from cosmic_cli.options import AsJson, ManifestFile, on_target
from cosmic_cli.submission import submit as submit_manifest
from cosmic_cli.target import Target
from cosmic_cli.views.status import show_status


@on_target
def submit(
    target: Target,
    manifest: ManifestFile,
    wait: Annotated[bool, typer.Option("--wait", help="Follow the run to its end.")] = False,
    as_json: AsJson = False,
) -> None:
    """Drop a manifest into the bucket, which starts a run.

    With --wait, the exit code is that of the run's end.

    Example: cosmic submit manifest.json --wait --local

    JSON: {"run", "status": URI of its status.json}; with --wait as `cosmic status`
    """
    folder = submit_manifest(target, manifest)
    if wait:
        show_status(target, folder, follow_to_end(target, folder), as_json=as_json)
    elif as_json:
        show_json({"run": folder.run, "status": folder.status.uri})
    else:
        out.print(folder.run, highlight=False)
