"""Options that many commands share."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import typer

from cosmic.contracts.layout import RunFolder
from cosmic_cli.target import STACK, STATE_DIR, find_target

Command = Callable[..., None]

AsJson = Annotated[
    bool, typer.Option("--json", help="Print one JSON document, errors as JSON too.")
]
ManifestFile = Annotated[Path, typer.Argument(metavar="MANIFEST", help="The manifest's file.")]
StateDir = Annotated[Path, typer.Option(help="The local stack's folder.")]

TARGET: dict[str, tuple[Any, Any]] = {
    "local": (
        Annotated[bool, typer.Option("--local", help="Act on the stack of `cosmic local up`.")],
        False,
    ),
    "state_dir": (StateDir, STATE_DIR),
    "stack": (Annotated[str, typer.Option(help="Name of the stack in AWS.")], STACK),
    "profile": (Annotated[str | None, typer.Option(help="AWS profile.")], None),
    "region": (Annotated[str | None, typer.Option(help="AWS region.")], None),
}
Run = Annotated[str, typer.Argument(metavar="RUN", help="The run's id, as `submit` printed it.")]
Prefix = Annotated[str, typer.Option(help="The manifest's output.prefix.")]
PREFIX = "runs/"


def on_target(command: Command) -> Command:
    """Give a command the options that say where it acts, and call it with the `target` found."""

    @functools.wraps(command)
    def wrapped(**given: Any) -> None:
        where = {name: given.pop(name) for name in TARGET}
        command(target=find_target(**where), **given)

    return _with_options(wrapped, command, {"target"}, TARGET)


def on_run(command: Command) -> Command:
    """As `on_target`, for a command about one run: it is called with its `folder`, too."""

    @functools.wraps(command)
    def wrapped(**given: Any) -> None:
        target = find_target(**{name: given.pop(name) for name in TARGET})
        folder = RunFolder(target.bucket, given.pop("prefix"), given.pop("run"))
        command(target=target, folder=folder, **given)

    more = {"run": (Run, inspect.Parameter.empty), "prefix": (Prefix, PREFIX), **TARGET}
    return _with_options(wrapped, command, {"target", "folder"}, more)


def _with_options(
    wrapped: Command, command: Command, given: set[str], options: dict[str, tuple[Any, Any]]
) -> Command:
    """Show Typer the parameters that a person gives: the command's own, and these options."""
    hints = get_type_hints(command, include_extras=True)
    own = {
        name: (hints[name], parameter.default)
        for name, parameter in inspect.signature(command).parameters.items()
        if name not in given
    }
    kind = inspect.Parameter.KEYWORD_ONLY
    parameters = [
        inspect.Parameter(name, kind, default=default, annotation=annotation)
        for name, (annotation, default) in {**options, **own}.items()
    ]
    wrapped.__annotations__ = {p.name: p.annotation for p in parameters}
    wrapped.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    del wrapped.__wrapped__  # type: ignore[attr-defined]
    return wrapped
