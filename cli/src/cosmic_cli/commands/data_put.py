"""`cosmic data put`: files into a deployment's bucket, and the manifest for them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cosmic.client.deployment import Deployment
from cosmic.errors import InputError
from cosmic_cli.exit_codes import err, out, show_json
from cosmic_cli.input_options import parse_size, with_choices
from cosmic_cli.options import AsJson, on_deployment

if TYPE_CHECKING:
    from cosmic.data.pack.choices import Choices


@on_deployment
@with_choices
def put(
    deployment: Deployment,
    choices: Choices,
    check_pixels: bool,
    files: Annotated[
        list[str],
        typer.Argument(metavar="FILE…", help="Files, folders of them, or s3:// URIs of both."),
    ],
    name: Annotated[
        str, typer.Option(help="Name of data set and job; by default that of the first file.")
    ] = "",
    model: Annotated[
        str, typer.Option(help="Checkpoint or its URI; the one that comes with Cosmic by default.")
    ] = "",
    manifest: Annotated[
        Path | None, typer.Option(help="The manifest's file; NAME.json by default.")
    ] = None,
    world_size: Annotated[
        int | None,
        typer.Option(min=1, max=10_000, help="Number of ranks to put into the manifest."),
    ] = None,
    partition_size: Annotated[str, typer.Option(help="Size of a partition.")] = "25MB",
    submit: Annotated[bool, typer.Option("--submit", help="Also start the run.")] = False,
    wait: Annotated[
        bool, typer.Option("--wait", help="With --submit: follow the run to its end.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Pack files, upload them and a model into the bucket, and write the manifest to submit.

    They go to data/NAME/ in the bucket, where nothing is ever overwritten. If it is stopped, the
    same command continues: partitions that are in the bucket with the right checksum are not
    uploaded again.

    Example: cosmic data put galaxies.fits --local --submit --wait

    JSON: {"manifest", "data", "model", "rows", "partitions", "uploaded", "run", "status": URI of
    its status.json; both null without --submit}; with --wait as `cosmic status`
    """
    from cosmic.workstation.put import put_data
    from cosmic.workstation.shipped_model import CAUTION, SHIPPED, WAY_ON
    from cosmic_cli.follow import follow_to_end
    from cosmic_cli.views.put import put_document, show_put, stopped
    from cosmic_cli.views.status import show_status
    from cosmic_cli.views.steps import shown

    if wait and not submit:
        raise InputError("--wait has no effect without --submit", code="usage", hint="add --submit")
    if not model:
        err.print(f"{CAUTION}: {WAY_ON}", highlight=False, soft_wrap=True)
    try:
        with shown(err) as progress:
            made = put_data(
                deployment,
                files,
                name=name,
                model=model or SHIPPED,
                manifest=manifest,
                world_size=world_size,
                choices=choices,
                check_pixels=check_pixels,
                partition_bytes=parse_size(partition_size),
                progress=progress,
            )
    except KeyboardInterrupt as error:
        raise stopped() from error
    run = deployment.submit(made.manifest) if submit else None
    show_put(made, err if as_json else out)
    if run is not None and wait:
        show_status(run, follow_to_end(run), as_json=as_json)
    elif as_json:
        show_json(put_document(made, run))
    else:
        text = f"next: {deployment.stack.command('submit', str(made.manifest), '--wait')}"
        out.print(run.id if run else text, markup=False, highlight=False, soft_wrap=True)
