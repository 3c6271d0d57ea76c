"""`cosmic predict`: from files to a catalogue on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from cosmic.contracts.engines import EngineName, Precision
from cosmic.errors import CosmicError, InputError
from cosmic_cli.exit_codes import Interrupted, err, of_status, out, show_json
from cosmic_cli.input_options import with_choices
from cosmic_cli.options import AsJson

if TYPE_CHECKING:
    from cosmic.data.pack.choices import Choices
    from cosmic.workstation.predict import Prediction


@with_choices
def predict(
    choices: Choices,
    check_pixels: bool,
    files: Annotated[
        list[str],
        typer.Argument(metavar="FILE…", help="Files, folders of them, or s3:// URIs of both."),
    ],
    into: Annotated[Path, typer.Option("--out", help="Folder for the results.")],
    model: Annotated[
        Path | None, typer.Option(help="Checkpoint; the one that comes with Cosmic by default.")
    ] = None,
    batch_size: Annotated[
        int, typer.Option(min=1, max=4096, help="Rows the model sees at once.")
    ] = 64,
    engine: Annotated[
        str, typer.Option(help="Library that runs the model: auto, openvino, onnxruntime, torch.")
    ] = "auto",
    precision: Annotated[str, typer.Option(help="float32 or bf16.")] = "float32",
    threads: Annotated[
        int | None, typer.Option(min=1, help="Threads of the model; all cores by default.")
    ] = None,
    page: Annotated[
        bool, typer.Option("--page/--no-page", help="Also make the page and the plots.")
    ] = True,
    restart: Annotated[
        bool, typer.Option("--restart", help="Discard what is in --out and start over.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Predict redshifts of the objects in files, on this machine: catalogue, metrics, page, plots.

    Reads the formats of `cosmic data pack`, and partitions directly. If it is stopped, by Ctrl-C
    or a power cut, the same command continues. Without --model, it uses a model that shows that
    the pipeline works; it is not meant for science.

    Example: cosmic predict galaxies.fits --out z

    JSON: {"out", "files": {name: path}, "plots": [path], "status": as `cosmic status`, "metrics":
    as metrics.json, "sources": as `cosmic data pack`; null if nothing was packed}
    """
    from cosmic.workstation.predict import predict as predict_files
    from cosmic.workstation.shipped_model import CAUTION, SHIPPED, WAY_ON
    from cosmic_cli.views.steps import shown

    if model is None:
        err.print(f"{CAUTION}: {WAY_ON}", highlight=False, soft_wrap=True)
    try:
        with shown(err) as progress:
            made = predict_files(
                files,
                into,
                model=model or SHIPPED,
                choices=choices,
                check_pixels=check_pixels,
                batch_size=batch_size,
                engine=cast("EngineName", engine),
                precision=cast("Precision", precision),
                threads=threads,
                page=page,
                restart=restart,
                progress=progress,
            )
    except KeyboardInterrupt as error:
        raise _interrupted(into) from error
    _show(made, as_json=as_json)
    raise typer.Exit(of_status(made.status))


def _interrupted(into: Path) -> CosmicError:
    """What is kept, and how to go on."""
    from cosmic.workstation.predict import rows_kept
    from cosmic_cli.views.steps import same_command

    try:
        kept = rows_kept(into)
    except InputError:
        kept = None
    if kept is None:
        return Interrupted("stopped by you; nothing was written")
    what = f"{kept[0]:,} of {kept[1]:,} rows are predicted" if kept[1] else "the input is ready"
    hint = f"`{same_command('--restart')}` continues"
    return Interrupted(f"stopped by you; {what} and kept", hint=hint)


def _show(made: Prediction, *, as_json: bool) -> None:
    from cosmic_cli.views.packed import taken_table
    from cosmic_cli.views.prediction import prediction_table
    from cosmic_cli.views.run import show_problems

    if as_json:
        show_json(_document(made))
        return
    if made.packed is not None:
        out.print(taken_table(made.packed))
    out.print(prediction_table(made))
    show_problems(made.status, out)
    for path in made.files.values():
        out.print(str(path), highlight=False, soft_wrap=True, markup=False)
    if made.plots:
        plots = made.plots[0].parent
        out.print(f"{plots}: {len(made.plots)} plots", highlight=False, soft_wrap=True)


def _document(made: Prediction) -> dict[str, Any]:
    return {
        "out": str(made.out),
        "files": {name: str(path) for name, path in made.files.items()},
        "plots": [str(path) for path in made.plots],
        "status": made.status.model_dump(mode="json"),
        "metrics": made.metrics,
        "sources": made.packed.sources if made.packed else None,
    }
