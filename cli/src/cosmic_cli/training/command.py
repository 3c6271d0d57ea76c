"""`cosmic model`: train, verify and inspect checkpoints.

What needs torch is imported by the command that needs it: `cosmic --help` stays quick.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from cosmic_cli.training.recipe import Recipe

app = typer.Typer(help="Train, verify and inspect models.", no_args_is_help=True)

DEFAULT = Recipe()
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command()
def train(
    out: Annotated[Path, typer.Option(help="Folder for the checkpoint and its card.")],
    name: Annotated[str, typer.Option(help="The model's name.")] = "astromae-tiny",
    preset: Annotated[str, typer.Option(help="Architecture: tiny or full.")] = DEFAULT.preset,
    objects: Annotated[int, typer.Option(help="Simulated training objects.")] = DEFAULT.objects,
    steps: Annotated[int, typer.Option(help="Batches.")] = DEFAULT.steps,
    batch: Annotated[int, typer.Option(help="Objects in a batch.")] = DEFAULT.batch,
    seed: Annotated[int, typer.Option(help="Of everything random.")] = DEFAULT.seed,
    threads: Annotated[int, typer.Option(help="The result depends on it.")] = DEFAULT.threads,
    as_json: Json = False,
) -> None:
    """Train a model from scratch, calibrate its errors and write its card."""
    from cosmic.inference.checkpoint import Provenance, load_checkpoint, save_checkpoint
    from cosmic_cli.training import card as cards
    from cosmic_cli.training.calibrate import calibrate
    from cosmic_cli.training.samples import data_hash, load, sources
    from cosmic_cli.training.train import train as train_model

    recipe = Recipe(preset, objects, steps, batch, seed=seed, threads=threads)
    src = sources(objects, seed)
    data = load(src.train)

    def progress(step: int, loss: float) -> None:
        typer.echo(f"step {step}/{steps}  loss {loss:.4f}", err=True)

    model = train_model(recipe, data, progress)
    errors = calibrate(model, load(src.calibrate), seed)
    z = data["z_spec"]
    provenance = Provenance(name, data_hash(data), seed, float(z.min()), float(z.max()))
    out.mkdir(parents=True, exist_ok=True)
    path = cards.checkpoint_path(out, name)
    save_checkpoint(path, model, provenance, errors)
    command = (
        f"cosmic model train --name {name} --preset {preset} --objects {objects} --steps {steps} "
        f"--batch {batch} --seed {seed} --threads {threads} --out {out}"
    )
    card = cards.make_card(load_checkpoint(path), recipe, src.tests, command)
    cards.write_card(out, card)
    typer.echo(json.dumps(card) if as_json else cards.readme(card))


@app.command()
def verify(
    folder: Annotated[Path, typer.Argument(help="Folder of a checkpoint and its card.")],
    quick: Annotated[bool, typer.Option(help="Only 1,024 objects of each test.")] = False,
    as_json: Json = False,
) -> None:
    """Make a card's checksum and metrics anew; exit 1 if they differ."""
    from cosmic_cli.training import card as cards

    differ = cards.verify(folder, quick=quick)
    if as_json:
        typer.echo(json.dumps({"holds": not differ, "differences": [vars(d) for d in differ]}))
    for d in [] if as_json else differ:
        typer.echo(f"{d.what}: the card says {d.card}, found {d.found}")
    if differ:
        raise typer.Exit(1)
    if not as_json:
        typer.echo(f"{folder}: the card holds")


@app.command()
def inspect(
    checkpoint: Annotated[Path, typer.Argument(help="A checkpoint file.")],
    as_json: Json = False,
) -> None:
    """Show what a checkpoint is: architecture, provenance, checksum."""
    from cosmic.inference.checkpoint import load_checkpoint
    from cosmic_cli.training import card as cards

    found = cards.inspect(load_checkpoint(checkpoint))
    if as_json:
        typer.echo(json.dumps(found))
        return
    for key, value in found.items():
        typer.echo(f"{key}: {value if isinstance(value, str | int) else json.dumps(value)}")
