"""`cosmic data synth` and `cosmic data derive`."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Annotated, cast

import typer

from cosmic.errors import InputError
from cosmic_cli.synth.dataset import Sample, objects_per_partition, write_dataset
from cosmic_cli.synth.populations import Population
from cosmic_cli.synth.split import Split

app = typer.Typer(help="Make data sets.", no_args_is_help=True)

_UNITS = {"": 1, "KB": 1 << 10, "MB": 1 << 20, "GB": 1 << 30}


def parse_size(text: str) -> int:
    """Bytes of a size such as `25MB`; KB, MB and GB are powers of 1,024, as partitions are named.

    Raises:
        InputError: It is not a positive whole number with an optional unit.
    """
    found = re.fullmatch(r"\s*([1-9]\d{0,14})\s*(KB|MB|GB)?\s*", text, re.IGNORECASE)
    if not found:
        raise InputError(f"size is {text!r}", hint="a number with KB, MB or GB, such as 25MB")
    return int(found[1]) * _UNITS[(found[2] or "").upper()]


@app.command()
def synth(
    out: Annotated[Path, typer.Option(help="Folder to write to.")],
    population: Annotated[
        str, typer.Option(help="catalog (real galaxies), mock or legacy.")
    ] = "legacy",
    objects: Annotated[
        int | None, typer.Option(help="How many; all there are of catalog if left out.")
    ] = None,
    partition_size: Annotated[str, typer.Option(help="Size of a partition.")] = "25MB",
    per_partition: Annotated[
        int | None, typer.Option(help="Objects in a partition, instead of its size.")
    ] = None,
    seed: Annotated[int, typer.Option(help="The same seed makes the same objects.")] = 0,
    split: Annotated[
        str, typer.Option(help="Real galaxies it is made of: held-out test, train or all.")
    ] = "test",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Write partitions of real SDSS photometry and redshifts with simulated pixels."""
    sample = Sample(cast("Population", population), objects, seed, cast("Split", split))
    n = per_partition or objects_per_partition(parse_size(partition_size))

    def progress(done: int, total: int) -> None:
        if not as_json:
            typer.echo(f"{done:,} of {total:,} objects", err=True)

    files = write_dataset(out, sample, n, progress=progress)
    found = {
        "out": str(out),
        "population": population,
        "split": split,
        "seed": seed,
        "objects": len(sample),
        "per_partition": n,
        "partitions": len(files),
        "bytes": sum(f.stat().st_size for f in files),
        "pixels": "simulated",
        "photometry": "real" if population == "catalog" else "simulated from real spectra",
    }
    summary = f"{len(sample):,} objects in {len(files)} partitions, {found['bytes']:,} bytes, {out}"
    typer.echo(json.dumps(found) if as_json else summary)


@app.command()
def derive(
    out: Annotated[Path, typer.Option(help="Folder for the tables.")] = Path(__file__).parent,
) -> None:
    """Make the shipped tables of galaxies and templates anew (needs `kcorrect` and `astropy`)."""
    from cosmic_cli.synth.derive import derive as derive_tables

    counts = derive_tables(out)
    typer.echo(f"{counts['kept']:,} of {counts['read']:,} galaxies kept, in {out}")
