"""`cosmic model`: train, convert, verify and inspect checkpoints.

What needs torch is imported by the command that needs it: `cosmic --help` stays quick.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

import typer

from cosmic.contracts.engines import Precision
from cosmic.errors import InputError
from cosmic.model.training.recipe import Recipe
from cosmic_cli.commands.model_convert import convert
from cosmic_cli.exit_codes import show_json
from cosmic_cli.options import AsJson

app = typer.Typer(help="Train, convert, verify and inspect models.", no_args_is_help=True)
app.command()(convert)

DEFAULT = Recipe()


@app.command()
def train(
    out: Annotated[Path, typer.Option(help="Folder for the checkpoint and its card.")],
    data: Annotated[
        Path | None,
        typer.Option(help="Folder of partitions with z_spec; without it, built-in data."),
    ] = None,
    start_from: Annotated[
        Path | None, typer.Option("--from", help="With --data: a checkpoint to start from.")
    ] = None,
    name: Annotated[str, typer.Option(help="The model's name.")] = "astromae-tiny",
    preset: Annotated[str, typer.Option(help="Architecture: tiny or full.")] = DEFAULT.preset,
    objects: Annotated[
        int, typer.Option(help="Simulated training objects, without --data.")
    ] = DEFAULT.objects,
    steps: Annotated[int, typer.Option(help="Batches; with --data, at most.")] = DEFAULT.steps,
    batch: Annotated[int, typer.Option(help="Objects in a batch.")] = DEFAULT.batch,
    seed: Annotated[int, typer.Option(help="Seed of all random numbers.")] = DEFAULT.seed,
    threads: Annotated[int, typer.Option(help="The result depends on it.")] = DEFAULT.threads,
    patience: Annotated[
        int, typer.Option(help="With --data: stop after so many validations without improvement.")
    ] = 8,
    pixel_scale: Annotated[
        float | None,
        typer.Option(help="With --data: arcseconds per pixel, if the partitions don't say."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Train a model, calibrate its errors and p(z), test it and write its card.

    With --data, the model is trained on your own partitions. The objects are split by a hash of
    their ids: 70 % for training, 10 % each for deciding when to stop, for calibration and for
    testing. If it is stopped, the same command continues. Without --data, it is trained on the
    built-in galaxies.

    Example: cosmic model train --data partitions --out models/mine --name mine --steps 500

    JSON: the card, as card.json
    """
    from cosmic.model.training.card import readme
    from cosmic.model.training.train_model import train_model

    if data is not None:
        own = OwnOptions(preset, steps, batch, seed, threads, patience)
        _train_on_own_data(data, out, name, own, start_from, pixel_scale, as_json=as_json)
        return
    if start_from is not None:
        raise InputError("--from needs --data", hint="give a folder of partitions with z_spec")

    def progress(step: int, loss: float) -> None:
        typer.echo(f"step {step}/{steps}  loss {loss:.4f}", err=True)

    recipe = Recipe(preset, objects, steps, batch, seed=seed, threads=threads)
    card = train_model(recipe, out, name, progress)
    if as_json:
        show_json(card)
    else:
        typer.echo(readme(card))


class OwnOptions(NamedTuple):
    """The options that a training on own data shares with one on the built-in data."""

    preset: str
    steps: int
    batch: int
    seed: int
    threads: int
    patience: int


def _train_on_own_data(
    data: Path,
    out: Path,
    name: str,
    options: OwnOptions,
    start_from: Path | None,
    pixel_scale: float | None,
    *,
    as_json: bool,
) -> None:
    from cosmic.model.training.fit import Told
    from cosmic.model.training.own_card import own_readme
    from cosmic.model.training.own_sky import OwnRecipe, train_on

    def progress(told: Told) -> None:
        line = f"step {told.step}/{told.steps}  loss {told.loss:.4f}"
        typer.echo(f"{line}  validation {told.validation:.4f}  best {told.best:.4f}", err=True)

    card = train_on(
        data,
        out,
        name,
        OwnRecipe(**options._asdict()),
        start_from=_checkpoint_of(start_from) if start_from else None,
        pixel_arcsec=pixel_scale,
        progress=progress,
    )
    if as_json:
        show_json(card)
    else:
        typer.echo(own_readme(card))


@app.command()
def calibrate(
    model: Annotated[Path, typer.Argument(help="The folder of a checkpoint and its card.")],
    out: Annotated[Path, typer.Option(help="Folder for the calibrated checkpoint and its card.")],
    as_json: AsJson = False,
) -> None:
    """Calibrate the quantiles of p(z) of a model that was trained on the built-in data.

    Weights, domain and z_phot_err stay as they are, and so does every z_phot.

    Example: cosmic model calibrate models/tiny --out models/tiny-calibrated

    JSON: the card, as card.json
    """
    from cosmic.model.training.calibrate_model import calibrate_model
    from cosmic.model.training.card import readme

    card = calibrate_model(model, out)
    if as_json:
        show_json(card)
    else:
        typer.echo(readme(card))


@app.command()
def verify(
    model: Annotated[Path, typer.Argument(help="A checkpoint, or the folder of one and its card.")],
    quick: Annotated[bool, typer.Option(help="Only 1,024 objects of each test.")] = False,
    sha256: Annotated[
        str | None, typer.Option(help="The checksum that the file must have.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Check a model: checksum, that it loads, that all engines agree, that its card holds.

    Every engine that is installed predicts the same 64 built-in galaxies. The card's checksum and
    metrics are computed again if there is a card. Exits with 1 if anything differs.

    Example: cosmic model verify models/tiny --quick

    JSON: {"holds", "sha256", "engines": [{"engine", "installed", "deviation", "agrees"}],
    "card": checked or none, "differences": [{"what", "card", "found"}]}
    """
    from cosmic.model.checkpoint import load_checkpoint
    from cosmic.model.training import card as cards
    from cosmic.model.training.agreement import agreements

    checkpoint = load_checkpoint(_checkpoint_of(model), sha256)
    folder = model if model.is_dir() else None
    engines = agreements(checkpoint)
    differ = cards.verify(folder, quick=quick) if folder else []
    holds = not differ and all(e.agrees for e in engines)
    if as_json:
        facts = {"holds": holds, "sha256": checkpoint.sha256, "engines": [vars(e) for e in engines]}
        card = "checked" if folder else "none"
        show_json({**facts, "card": card, "differences": [vars(d) for d in differ]})
    else:
        typer.echo(f"{model}: loads, sha256 {checkpoint.sha256}")
        for e in engines:
            word = f"{e.deviation:.1e} from torch" if e.installed else "not installed"
            typer.echo(f"engine {e.engine}: {word}{'' if e.agrees else ', which is too far'}")
        for d in differ:
            typer.echo(f"{d.what}: the card says {d.card}, found {d.found}")
        typer.echo(f"{model}: {_verdict(holds, folder)}")
    if not holds:
        raise typer.Exit(1)


@app.command()
def measure(
    folder: Annotated[Path, typer.Argument(help="Folder of a checkpoint and its card.")],
    engine: Annotated[
        Literal["auto", "openvino", "onnxruntime", "torch"], typer.Option(help="What runs it.")
    ] = "auto",
    precision: Annotated[Precision, typer.Option(help="What it computes in.")] = "float32",
    as_json: AsJson = False,
) -> None:
    """Measure how fast a model runs on this machine, and write that into its card.

    `cosmic plan --from card.json` and `cosmic tune --from card.json` then need no measurement, and
    refuse the figures for any other checkpoint, engine or precision.

    Example: cosmic model measure models/mine

    JSON: {"date", "cpu", "versions", "figures": as `cosmic tune --json`'s measured}
    """
    from cosmic.calibration.card import measure_for_card
    from cosmic.calibration.measure import Calibration

    def progress(what: str) -> None:
        typer.echo(what, err=True)

    found = measure_for_card(folder, Calibration(folder, engine, precision), progress)
    if as_json:
        show_json(found.model_dump(mode="json"))
        return
    typer.echo(f"{folder}: {found.figures.engine}, {precision}, on {found.cpu}")
    for size, rate in found.figures.rows_per_s.items():
        typer.echo(f"batches of {size}: {rate:,.0f} rows/s of a core")


def _verdict(holds: bool, folder: Path | None) -> str:
    if not holds:
        return "it does not hold"
    return "the card holds" if folder else "the engines agree; there is no card to check"


def _checkpoint_of(model: Path) -> Path:
    """The checkpoint's file: itself, or the one that the folder's card names.

    Raises:
        InputError: it is not there, or there is no card.
    """
    from cosmic.model.training import card as cards

    path = model
    if model.is_dir():
        path = cards.checkpoint_path(model, str(cards.read_card(model).get("name")))
    if not path.is_file():
        hint = "check its name and folder"
        raise InputError(f"{path} does not exist", code="not-found", hint=hint)
    return path


@app.command()
def inspect(
    checkpoint: Annotated[Path, typer.Argument(help="A checkpoint, or the folder of one.")],
    as_json: AsJson = False,
) -> None:
    """Show what a checkpoint is: architecture, parameters, provenance, checksum, card.

    Example: cosmic model inspect models/tiny

    JSON: {"name", "sha256", "bytes", "parameters", "architecture", "training_data_sha256", "seed",
    "z_range", "z_phot_err", "card": as card.json, or null}
    """
    from cosmic.model.checkpoint import load_checkpoint
    from cosmic.model.training import card as cards

    path = _checkpoint_of(checkpoint)
    said = cards.read_card(path.parent) if (path.parent / cards.CARD_FILE).is_file() else None
    facts = {**cards.inspect(load_checkpoint(path)), "bytes": path.stat().st_size}
    found = {**facts, "card": said if said and said.get("sha256") == facts["sha256"] else None}
    if as_json:
        show_json(found)
        return
    for key, value in facts.items():
        typer.echo(f"{key}: {value if isinstance(value, str | int) else json.dumps(value)}")
    for name, test in (found["card"] or {}).get("tests", {}).items():
        typer.echo(f"test {name}: {json.dumps(test['scores'])}")
