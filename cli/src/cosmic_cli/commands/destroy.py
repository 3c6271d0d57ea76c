"""`cosmic destroy`: delete a stack's data, after asking."""

from __future__ import annotations

from typing import Annotated

import typer

from cosmic.client.delete_data import remains, remove_data
from cosmic.errors import InputError
from cosmic_cli.exit_codes import err, out, show_json
from cosmic_cli.options import AsJson


def destroy(
    stack: Annotated[str, typer.Option(help="Name of the stack in AWS.")],
    profile: Annotated[str | None, typer.Option(help="AWS profile.")] = None,
    region: Annotated[str | None, typer.Option(help="AWS region.")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: AsJson = False,
) -> None:
    """Delete a stack's bucket with all data, models and results in it, for good.

    `make destroy` does this and then deletes the stack. It can be repeated, and works on a stack
    that was only half created or half deleted.

    Example: cosmic destroy --stack cosmic-dev

    JSON: {"bucket": its name, null if there is none any more, "versions_deleted"}
    """
    target = remains(stack, profile, region)
    bucket = target.outputs.get("DataBucketName")
    if bucket is not None:
        err.print(f"everything in s3://{bucket} will be gone for good", highlight=False)
        if not yes and typer.prompt("type the stack's name to go on", err=True) != stack:
            raise InputError("that was not its name; nothing was deleted", code="not-confirmed")
    removed = remove_data(target)
    if as_json:
        show_json({"bucket": bucket, "versions_deleted": removed})
    elif bucket is None:
        out.print(f"{stack} has no bucket in this region: nothing to delete", highlight=False)
    else:
        out.print(f"deleted {removed} object versions and the bucket", highlight=False)
