"""`cosmic validate`: everything that is wrong with a manifest, before it goes anywhere."""

from __future__ import annotations

import typer

from cosmic.client.manifests import read_manifest
from cosmic.errors import InvalidInput
from cosmic_cli.exit_codes import Exit, out, show_json
from cosmic_cli.options import AsJson, ManifestFile


def validate(manifest: ManifestFile, as_json: AsJson = False) -> None:
    """Check a manifest without sending it anywhere.

    `cosmic plan` also looks at the data and the model that it names.

    Example: cosmic validate manifest.json

    JSON: {"valid", "job", "problems": [{"pointer", "message", "value", "hint", "code"}]}
    """
    try:
        parsed, _ = read_manifest(manifest)
    except InvalidInput as error:
        if not as_json:
            raise
        problems = [p.as_dict() for p in error.problems]
        show_json({"valid": False, "job": None, "problems": problems})
        raise typer.Exit(Exit.INVALID) from error
    if as_json:
        show_json({"valid": True, "job": parsed.job, "problems": []})
    else:
        out.print(f"{manifest} is a valid manifest of job {parsed.job}", highlight=False)
