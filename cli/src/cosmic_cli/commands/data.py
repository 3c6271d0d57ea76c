"""`cosmic data`: data sets made, packed and looked at."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer
from rich.markup import escape

from cosmic.data.synth import tables
from cosmic.data.synth.dataset import Sample, objects_per_partition, write_dataset
from cosmic.data.synth.populations import Population
from cosmic.data.synth.split import Split
from cosmic_cli.commands.data_put import put
from cosmic_cli.exit_codes import Exit, err, show_json
from cosmic_cli.exit_codes import out as shown
from cosmic_cli.input_options import parse_size, with_choices
from cosmic_cli.options import AsJson
from cosmic_cli.views.tables import whole_table

if TYPE_CHECKING:
    from cosmic.data.pack.choices import Choices

app = typer.Typer(help="Data sets: make, pack, inspect, upload.", no_args_is_help=True)
app.command()(put)

TABLES = Path(tables.__file__).parent


@app.command()
def synth(
    out: Annotated[Path, typer.Option(help="Folder to write to.")],
    population: Annotated[
        str, typer.Option(help="catalog (real galaxies), mock, legacy, deep or faint.")
    ] = "legacy",
    objects: Annotated[
        int | None, typer.Option(help="Number of objects; for catalog, all by default.")
    ] = None,
    partition_size: Annotated[str, typer.Option(help="Size of a partition.")] = "25MB",
    per_partition: Annotated[
        int | None, typer.Option(help="Objects in a partition, instead of its size.")
    ] = None,
    seed: Annotated[int, typer.Option(help="The same seed makes the same objects.")] = 0,
    split: Annotated[
        str, typer.Option(help="Real galaxies to use: held-out test, train or all.")
    ] = "test",
    as_json: AsJson = False,
) -> None:
    """Write partitions of real SDSS photometry and redshifts with simulated pixels.

    Example: cosmic data synth --population catalog --out data/real

    JSON: {"out", "population", "split", "seed", "objects", "per_partition", "partitions", "bytes",
    "pixels", "photometry"}
    """
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
    if as_json:
        show_json(found)
    else:
        typer.echo(summary)


@app.command()
@with_choices
def pack(
    choices: Choices,
    check_pixels: bool,
    paths: Annotated[
        list[Path], typer.Argument(metavar="FILE…", help="Files, or folders of them.")
    ],
    out: Annotated[Path, typer.Option(help="Folder to write to.")],
    partition_size: Annotated[str, typer.Option(help="Size of a partition.")] = "25MB",
    per_partition: Annotated[
        int | None, typer.Option(min=1, help="Rows of a partition, instead of its size.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Convert files into native partitions: .pt .npz .npy .h5 .fits .parquet .safetensors.

    Catalogues (also .csv .ecsv .vot) may have their images beside them, as --cutouts.

    Rows keep their order; folders are read in natural order. Nothing is unpickled. What is missing
    or can't be a magnitude, a redshift or a position becomes NaN and is counted. Files whose pixels
    are not as bright as the magnitudes say are refused. Everything is written or nothing.

    Example: cosmic data pack survey/ --out data/survey --partition-size 100MB

    JSON: {"out", "rows", "partitions", "bytes", "ignored", "ids": int64 or text, "repeated_ids",
    "unused_cutouts", "sources": [{"path", "format", "rows", "columns", "without_cutout",
    "corrected_for_extinction": true, false or null where names don't tell, "pixel_arcsec",
    "masks_not_applied", "made_up",
    "taken": {column: {"field", "unit", "factor", "missing", "missing_by_value"}},
    "pixels": {"lost_images", "images_with_bad_pixels", "images_with_an_empty_band"}, "photometry":
    {"verdict", "objects", "bands": {band: {"objects", "ratio", "off", "dark"}}, "factor", "order",
    "message", "hint"}}]}
    """
    from cosmic.data.pack.opening import files_of, ignored_in
    from cosmic.data.pack.pack import pack as pack_files
    from cosmic.data.pack.summary import warnings_of
    from cosmic_cli.views.packed import taken_table

    packed = pack_files(
        files_of(paths),
        out,
        choices,
        partition_bytes=parse_size(partition_size),
        per_partition=per_partition,
        check_pixels=check_pixels,
        progress=lambda rows: err.print(f"{rows:,} rows", highlight=False),
    )
    ignored = ignored_in(paths)
    for line in warnings_of(packed, ignored):
        err.print(line, markup=False, highlight=False, soft_wrap=True)
    found = {
        "out": str(out),
        "rows": packed.rows,
        "partitions": len(packed.partitions),
        "bytes": sum(f.stat().st_size for f in packed.partitions),
        "ignored": [str(path) for path in ignored],
        "ids": "text" if packed.text_id else "int64",
        "repeated_ids": packed.repeated_ids,
        "unused_cutouts": [str(path) for path in packed.unused_cutouts],
        "sources": packed.sources,
    }
    summary = f"{packed.rows:,} rows of {len(packed.sources)} files in {found['partitions']}"
    if as_json:
        show_json(found)
    else:
        shown.print(taken_table(packed))
        typer.echo(f"{summary} partitions, {found['bytes']:,} bytes, {out}")


@app.command()
def inspect(
    paths: Annotated[
        list[Path], typer.Argument(metavar="FILE…", help="Files, or folders of them.")
    ],
    sample: Annotated[int, typer.Option(min=0, max=1000, help="Rows to show.")] = 3,
    as_json: AsJson = False,
) -> None:
    """Show what is in files of data: fields, units, what is missing, checksums, some rows.

    Says which field would be packed as which column, and whether the pixels are as bright as the
    magnitudes say. Exits with 1 if a native partition's rows don't have the checksums of its
    header.

    Example: cosmic data inspect data/real/0.safetensors

    JSON: {"files": [{"path", "format", "bytes", "rows", "fields": {name: {"dtype", "shape", "unit",
    "missing", "min", "max", "column", "problem"}}, "problems", "photometry": {"verdict", "objects",
    "bands": {band: {"objects", "ratio", "off", "dark"}}, "factor", "order", "message", "hint"},
    "checksums": ok, damaged or none, "damaged", "metadata", "sample"}]}
    """
    from cosmic.data.pack.look import look
    from cosmic.data.pack.opening import files_of, ignored_in
    from cosmic.data.pack.summary import ignored_line

    found = [look(path, sample) for path in files_of(paths)]
    for line in ignored_line(ignored_in(paths)):
        err.print(line, markup=False, highlight=False, soft_wrap=True)
    if as_json:
        show_json({"files": found})
    else:
        for facts in found:
            _show(facts)
    if any(facts["damaged"] for facts in found):
        raise typer.Exit(Exit.FAILED)


def _show(facts: dict[str, Any]) -> None:
    from cosmic.data.pack.summary import photometry_lines

    title = f"{facts['path']}: {facts['format']}, {facts['rows']:,} rows, {facts['bytes']:,} bytes"
    names = ("field", "type", "shape", "unit", "missing", "min", "max", "column")
    table = whole_table(*names, title=title)
    table.columns[0].no_wrap = True
    for name, f in facts["fields"].items():
        ends = (_end(f[end]) for end in ("min", "max"))
        shape = "varying" if None in f["shape"] or "problem" in f else str(f["shape"])
        texts = (name, f["dtype"], shape, f["unit"], f"{f['missing']:,}", *ends, f["column"] or "")
        table.add_row(*(escape(text) for text in texts))
    shown.print(table)
    for problem in facts["problems"]:
        hint = f" ({problem['hint']})" if problem["hint"] else ""
        shown.print(f"to pack: {problem['message']}{hint}", markup=False, soft_wrap=True)
    for line in photometry_lines(facts["photometry"]):
        shown.print(line, markup=False, highlight=False, soft_wrap=True)
    damaged = f": {', '.join(facts['damaged'])}" if facts["damaged"] else ""
    shown.print(f"checksums: {facts['checksums']}{damaged}", highlight=False)
    for name, value in facts["metadata"].items():
        shown.print(f"{name}: {value}", markup=False, highlight=False, soft_wrap=True)
    for row in facts["sample"]:
        text = ", ".join(f"{name} {value}" for name, value in row.items())
        shown.print(text, markup=False, highlight=False, soft_wrap=True)


def _end(value: float | None) -> str:
    """The least or greatest value of a field; whole numbers, which may be ids, as they are."""
    if value is None:
        return ""
    return str(value) if isinstance(value, int) else f"{value:.6g}"


@app.command()
def derive(
    out: Annotated[Path, typer.Option(help="Folder for the tables.")] = Path(
        tables.__file__
    ).parent,
    as_json: AsJson = False,
) -> None:
    """Rebuild the shipped tables of galaxies and templates (needs `kcorrect` and `astropy`).

    Example: cosmic data derive --out tables

    JSON: {"out", "read", "kept"}
    """
    from cosmic.data.synth.derive import derive as derive_tables

    counts = derive_tables(out)
    if as_json:
        show_json({"out": str(out), **counts})
    else:
        typer.echo(f"{counts['kept']:,} of {counts['read']:,} galaxies kept, in {out}")
