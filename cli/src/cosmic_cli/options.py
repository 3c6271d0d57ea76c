"""Options that many commands share."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer

from cosmic.client.defaults import PREFIX, STACK, STATE_DIR

if TYPE_CHECKING:
    from cosmic.client.deployment import Deployment

Command = Callable[..., None]

AsJson = Annotated[
    bool, typer.Option("--json", help="Print one JSON document, errors as JSON too.")
]
ManifestFile = Annotated[Path, typer.Argument(metavar="MANIFEST", help="The manifest's file.")]
StateDir = Annotated[Path, typer.Option(help="The local stack's folder.")]

DEPLOYMENT: dict[str, tuple[Any, Any]] = {
    "local": (
        Annotated[bool, typer.Option("--local", help="Use the stack of `cosmic local up`.")],
        False,
    ),
    "state_dir": (StateDir, STATE_DIR),
    "stack": (Annotated[str, typer.Option(help="Name of the stack in AWS.")], STACK),
    "profile": (Annotated[str | None, typer.Option(help="AWS profile.")], None),
    "region": (Annotated[str | None, typer.Option(help="AWS region.")], None),
}
RunId = Annotated[str, typer.Argument(metavar="RUN", help="The run's id, as `submit` printed it.")]
MaxCost = Annotated[
    float | None,
    typer.Option(
        "--max-cost",
        metavar="DOLLARS",
        help="Refuse the run if it is expected to cost more; the manifest's limits.max_cost_usd.",
    ),
]
RowsPerS = Annotated[
    float | None,
    typer.Option(min=0.001, help="The model's rows per second on one core, if you know it."),
]
Prefix = Annotated[str, typer.Option(help="The manifest's output.prefix.")]


def find_deployment(
    local: bool,
    state_dir: Path,
    stack: str,
    profile: str | None,
    region: str | None,
) -> Deployment:
    """The deployment that a command's options name.

    Raises:
        CosmicError: it is not there.
    """
    from cosmic.client.deployment import Deployment  # with boto3, which takes its time

    return Deployment.local(state_dir) if local else Deployment.on_aws(stack, profile, region)


def on_deployment(command: Command) -> Command:
    """Give a command the options that name a deployment, and call it with the `deployment`."""

    @functools.wraps(command)
    def wrapped(**given: Any) -> None:
        where = {name: given.pop(name) for name in DEPLOYMENT}
        command(deployment=find_deployment(**where), **given)

    return with_options(wrapped, command, ("deployment",), DEPLOYMENT)


def on_deployment_if_needed(command: Command) -> Command:
    """As `on_deployment`, for a command that may do without: `deployment()` finds it."""

    @functools.wraps(command)
    def wrapped(**given: Any) -> None:
        where = {name: given.pop(name) for name in DEPLOYMENT}
        command(deployment=functools.partial(find_deployment, **where), **given)

    return with_options(wrapped, command, ("deployment",), DEPLOYMENT)


def on_run(command: Command) -> Command:
    """As `on_deployment`, for a command about one run: it is called with the `run`."""

    @functools.wraps(command)
    def wrapped(**given: Any) -> None:
        deployment = find_deployment(**{name: given.pop(name) for name in DEPLOYMENT})
        run = deployment.run(given.pop("run"), given.pop("prefix"))
        command(run=run, **given)

    more = {"run": (RunId, inspect.Parameter.empty), "prefix": (Prefix, PREFIX), **DEPLOYMENT}
    return with_options(wrapped, command, ("run",), more)


def with_options(
    wrapped: Command,
    command: Command,
    found: tuple[str, ...],
    options: dict[str, tuple[Any, Any]],
    *,
    own_first: bool = False,
) -> Command:
    """Show Typer the parameters that a person gives: these, and the command's own but `found`."""
    given = {n: p for n, p in inspect.signature(command).parameters.items() if n not in found}
    hints = _hints(command, given)
    own = {name: (hints[name], parameter.default) for name, parameter in given.items()}
    shown = {**own, **options} if own_first else {**options, **own}
    kind = inspect.Parameter.KEYWORD_ONLY
    parameters = [
        inspect.Parameter(name, kind, default=default, annotation=annotation)
        for name, (annotation, default) in shown.items()
    ]
    wrapped.__annotations__ = {p.name: p.annotation for p in parameters}
    wrapped.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    del wrapped.__wrapped__  # type: ignore[attr-defined]
    return wrapped


def _hints(command: Command, names: Iterable[str]) -> dict[str, Any]:
    """Types of some parameters; those of others may be names that are not imported here."""
    only = {name: command.__annotations__[name] for name in names}
    holder = type("Parameters", (), {"__annotations__": only})
    return get_type_hints(holder, command.__globals__, include_extras=True)
