"""`cosmic local`: the stack on this machine, from the same template that is deployed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cosmic_cli.exits import Exit, out
from cosmic_cli.stack.local import attach, down, up
from cosmic_cli.stack.options import StackOptions
from cosmic_cli.target import STATE_DIR

app = typer.Typer(no_args_is_help=True)
StateDir = Annotated[Path, typer.Option(help="The local stack's folder.")]


@app.command(name="up")
def up_command(
    template: Annotated[Path, typer.Option(help="The SAM template.")] = Path("template.yaml"),
    state_dir: StateDir = STATE_DIR,
    port: Annotated[int, typer.Option(help="Port of the emulator; 0 takes a free one.")] = 0,
) -> None:
    """Start the stack; it goes on until `cosmic local down`.

    Example: cosmic local up
    """
    stack = up(StackOptions(template=template, state_dir=state_dir, port=port, rendezvous=True))
    out.print(f"endpoint: {stack.endpoint_url}", highlight=False)
    for name, value in stack.outputs.items():
        out.print(f"{name}: {value}", highlight=False, soft_wrap=True)


@app.command(name="down")
def down_command(state_dir: StateDir = STATE_DIR) -> None:
    """Stop the stack and remove what it left.

    Example: cosmic local down
    """
    out.print("stopped" if down(state_dir) else "no stack was running")


@app.command()
def logs(
    function: Annotated[str | None, typer.Argument(help="Logical id; all by default.")] = None,
    state_dir: StateDir = STATE_DIR,
) -> None:
    """Print the functions' logs.

    Example: cosmic local logs InferFunction
    """
    text = attach(state_dir).logs(function)
    if not text:
        out.print("nothing was logged")
        raise typer.Exit(Exit.NOT_FOUND)
    out.print(text, markup=False, highlight=False, soft_wrap=True, end="")
