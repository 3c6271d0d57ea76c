"""`cosmic qp`: a catalogue's p(z) as a qp ensemble."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cosmic_cli.exit_codes import out as console
from cosmic_cli.exit_codes import show_json
from cosmic_cli.options import AsJson


def qp(
    catalogue: Annotated[str, typer.Argument(help="catalogue.parquet or .fits, or its s3:// URI.")],
    out: Annotated[Path, typer.Option(help="The file to write, .hdf5.")] = Path("pz.hdf5"),
    as_json: AsJson = False,
) -> None:
    """Write a catalogue's quantiles of p(z) as a qp ensemble, for RAIL and others.

    Example: cosmic qp results/demo-0123456789ab/catalogue.parquet --out pz.hdf5

    JSON: {"path", "objects"}
    """
    from cosmic.results.qp_ensemble import write_qp

    objects = write_qp(catalogue, out)
    if as_json:
        show_json({"path": str(out), "objects": objects})
    else:
        console.print(f"{out}: p(z) of {objects:,} objects", highlight=False, soft_wrap=True)
