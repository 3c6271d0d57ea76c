"""`cosmic local`: the stack on this machine, from the same template that is deployed."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from cosmic.client.defaults import STATE_DIR
from cosmic.errors import InputError
from cosmic_cli.exit_codes import Exit, out, show_json
from cosmic_cli.options import AsJson, StateDir
from cosmic_local.containers import template_for
from cosmic_local.options import StackOptions
from cosmic_local.stack import attach, down, up

app = typer.Typer(help="The local stack.", no_args_is_help=True)
TEMPLATE = "template.yaml"
OF_AWS = ("Next", "Dashboard")  # outputs of the template that say what to do in AWS
BUILT = Path(".aws-sam/build/template.yaml")


@app.command(name="up")
def up_command(
    template: Annotated[
        Path | None,
        typer.Option(help="The SAM template; by default template.yaml here or in the source."),
    ] = None,
    state_dir: StateDir = STATE_DIR,
    host: Annotated[str, typer.Option(help="Address that the emulator listens on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port of the emulator; 0 picks a free one.")] = 0,
    lambda_endpoint: Annotated[
        str, typer.Option(help="URL where functions run, such as that of `sam local start-lambda`.")
    ] = "",
    data: Annotated[
        Path | None,
        typer.Option(help="Folder that keeps the bucket and the runs after the stack ends."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Start the stack, which runs until `cosmic local down`.

    Without --data, everything in the stack is removed when it ends. With it, the next stack with
    that folder has the same bucket and runs; runs that were interrupted can be resumed.

    With --lambda-endpoint, ranks communicate through the bucket: containers cannot reach a
    rendezvous server on this machine. Only as many functions run at once as the free memory
    holds; further ranks wait.

    Example: cosmic local up

    JSON: {"concurrency", "console", "data", "endpoint", "state_dir", "outputs": {name: value}}
    """
    options = StackOptions(
        template=template_of(template),
        state_dir=state_dir,
        host=host,
        port=port,
        lambda_endpoint=lambda_endpoint,
        rendezvous=not lambda_endpoint,
        console=True,
        data=data.resolve() if data is not None else None,
    )
    stack = up(options)
    if as_json:
        facts = {
            "concurrency": stack.info.concurrency,
            "console": stack.info.console,
            "data": stack.info.data,
            "endpoint": stack.endpoint_url,
            "state_dir": str(stack.folder),
        }
        show_json({**facts, "outputs": stack.outputs})
        return
    out.print(f"console: {stack.info.console}", highlight=False)
    if stack.info.data:
        out.print(f"data: {stack.info.data}", highlight=False, markup=False, soft_wrap=True)
    out.print(f"endpoint: {stack.endpoint_url}", highlight=False)
    out.print(f"functions at once: {stack.info.concurrency}", highlight=False)
    for name, value in stack.outputs.items():
        if not name.startswith(OF_AWS):
            out.print(f"{name}: {value}", highlight=False, soft_wrap=True)
    for what, words in _next(state_dir).items():
        out.print(f"{what}: {shlex.join(words)}", highlight=False, soft_wrap=True, markup=False)


def template_of(given: Path | None) -> Path:
    """The template to start from.

    Raises:
        InputError: it is not there.
    """
    here, source = Path(TEMPLATE), Path(__file__).parents[4] / TEMPLATE
    found = given or (here if here.is_file() or not source.is_file() else source)
    if not found.is_file():
        hint = "run it in the project's folder, or give --template"
        raise InputError(f"{found} does not exist", code="not-found", hint=hint)
    return found


def _next(state_dir: Path) -> dict[str, tuple[str, ...]]:
    """What to do with the stack, as commands."""
    where = () if state_dir == STATE_DIR else ("--state-dir", str(state_dir))
    return {
        "run a file": ("cosmic", "data", "put", "FILE", "--local", *where, "--submit", "--wait"),
        "list runs": ("cosmic", "runs", "--local", *where),
        "stop": ("cosmic", "local", "down", *where),
    }


@app.command(name="down")
def down_command(state_dir: StateDir = STATE_DIR, as_json: AsJson = False) -> None:
    """Stop the stack and remove its files; a folder given as --data stays.

    Example: cosmic local down

    JSON: {"stopped": whether one was running}
    """
    stopped = down(state_dir)
    if as_json:
        show_json({"stopped": stopped})
    else:
        out.print("stopped" if stopped else "no stack was running")


@app.command(name="sam-template")
def sam_template_command(
    built: Annotated[Path, typer.Option(help="What `sam build` wrote.")] = BUILT,
    state_dir: StateDir = STATE_DIR,
    as_json: AsJson = False,
) -> None:
    """Write the built template for `sam local`, with the stack's variables; print its path.

    Example: sam local invoke InitFunction --template $(cosmic local sam-template)

    JSON: {"template": its path}
    """
    path = template_for(built, attach(state_dir))
    if as_json:
        show_json({"template": str(path)})
    else:
        out.print(path, highlight=False, soft_wrap=True)


@app.command()
def logs(
    function: Annotated[str | None, typer.Argument(help="Logical id; all by default.")] = None,
    state_dir: StateDir = STATE_DIR,
    as_json: AsJson = False,
) -> None:
    """Print the functions' logs.

    Example: cosmic local logs InferFunction

    JSON: {"logs": [{"function", "file", "text"}]}
    """
    stack = attach(state_dir)
    if function is not None and function not in stack.functions:
        hint = f"one of {', '.join(sorted(stack.functions))}"
        raise InputError(f"there is no function {function}", code="not-found", hint=hint)
    if as_json:
        found = [
            {"function": path.parent.name, "file": str(path), "text": _text(path)}
            for path in stack.log_files(function)
        ]
        show_json({"logs": found})
        return
    text = stack.logs(function)
    if not text:
        out.print("nothing was logged")
        raise typer.Exit(Exit.NOT_FOUND)
    out.print(text, markup=False, highlight=False, soft_wrap=True, end="")


def _text(path: Path) -> str:
    return path.read_text(errors="replace")
