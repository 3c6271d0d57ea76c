"""`cosmic hats`: a catalogue as a HATS collection."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from cosmic_cli.exit_codes import err, show_json
from cosmic_cli.exit_codes import out as console
from cosmic_cli.options import AsJson


def hats(
    catalogue: Annotated[str, typer.Argument(help="catalogue.parquet, or its s3:// URI.")],
    out: Annotated[str, typer.Option(help="The collection's folder, here or in S3.")] = "hats",
    tile_rows: Annotated[
        int, typer.Option(min=1, help="The most rows of a Parquet file.")
    ] = 1_000_000,
    scratch: Annotated[
        Path | None,
        typer.Option(exists=True, file_okay=False, help="Folder with room for all rows."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Write a catalogue as a HATS collection, which LSDB opens: Parquet files by place on the sky.

    Any size is sorted in little memory, by way of a folder for temporary files. Objects without a
    position are left out; it says how many.

    Example: cosmic hats results/demo-0123456789ab/catalogue.parquet --out hats

    JSON: {"path", "rows", "rows_without_position", "tiles", "bytes"}
    """
    from cosmic.results.hats.write_hats import write_hats
    from cosmic.workstation.step import Step
    from cosmic_cli.views.steps import shown

    with shown(err) as show:
        made = write_hats(
            catalogue,
            out,
            tile_rows=tile_rows,
            scratch=scratch,
            progress=lambda done, rows: show(Step("writing", done, rows)),
        )
    if as_json:
        show_json({"path": out, **asdict(made)})
        return
    console.print(
        f"{out}: {made.rows:,} objects in {made.tiles:,} tiles", highlight=False, soft_wrap=True
    )
    if made.rows_without_position:
        left_out = f"left out {made.rows_without_position:,} objects without a position"
        console.print(left_out, highlight=False)
