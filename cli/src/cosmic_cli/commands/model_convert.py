"""`cosmic model convert`: another program's checkpoint becomes one of ours."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from cosmic_cli.exit_codes import show_json
from cosmic_cli.options import AsJson


def convert(
    checkpoint: Annotated[
        Path, typer.Argument(help="What torch.save wrote: a module or a state dict.")
    ],
    out: Annotated[Path, typer.Option(help="The safetensors file to write.")],
    name: Annotated[
        str | None, typer.Option(help="The model's name; by default the file's.")
    ] = None,
    heads: Annotated[
        int | None, typer.Option(min=1, help="Attention heads, if the file doesn't tell.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Convert a checkpoint of the published AstroMAE, without running any code from it.

    Example: cosmic model convert published.pt --out published.safetensors

    JSON: {"out", "kind", "wrappers", "source_sha256", "sha256", "parameters", "bytes",
    "left_out", "added", "unknown"}
    """
    from cosmic.model.convert.convert import convert as run

    done = run(checkpoint, out, name=name, heads=heads).as_dict()
    if as_json:
        show_json({"out": str(out), **done})
        return
    for line in lines(checkpoint, out, done):
        typer.echo(line)


def lines(checkpoint: Path, out: Path, done: dict[str, Any]) -> list[str]:
    """What was done, for people."""
    wrapped = "".join(f", wrapped in {wrapper}" for wrapper in done["wrappers"])
    return [
        f"{checkpoint}: {done['kind']}{wrapped}",
        f"  sha256 {done['source_sha256']}",
        f"{out}: AstroMAE with {done['parameters']:,} parameters, {done['bytes']:,} bytes",
        f"  sha256 {done['sha256']}",
        f"left out, unused: {', '.join(done['left_out']) or 'nothing'}",
        f"added, without effect: {', '.join(done['added']) or 'nothing'}",
        *(f"unknown: {what}: {why}" for what, why in done["unknown"].items()),
    ]
