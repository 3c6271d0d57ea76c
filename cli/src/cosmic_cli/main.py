"""The `cosmic` command: its parts put together, and the one place where errors end."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Annotated

import typer
from typer.exceptions import TyperException

from cosmic.errors import CosmicError, InputError
from cosmic.extras import not_installed
from cosmic_cli import __version__
from cosmic_cli.exit_codes import Exit, Interrupted, out, report, report_bug

VERSION = "--version"
COMMANDS = (
    "predict", "demo", "doctor", "validate", "plan", "submit", "watch", "status", "results",
    "report", "compare", "plots", "qp", "runs", "resume", "cancel", "tune", "rendezvous", "bench",
    "destroy",
)  # fmt: skip
GROUPS = {
    "data": "cosmic_cli.commands.data",
    "model": "cosmic_cli.commands.model",
    "local": "cosmic_cli.commands.local",
    "cai": "cosmic_cli.commands.cai",
}


def application(only: str | None = None) -> typer.Typer:
    """The command line, or as much of it as one command needs: importing all takes long.

    Args:
        only: A command or group, or `--version`, which needs none; anything else, and None,
            stands for all.
    """
    app = typer.Typer(
        help="Photometric redshifts from images: drop a manifest, get a catalogue.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        callback=_program,
    )
    for name in _needed(only):
        if name in GROUPS:
            app.add_typer(import_module(GROUPS[name]).app, name=name)
        else:
            app.command()(getattr(import_module(f"cosmic_cli.commands.{name}"), name))
    return app


def _needed(only: str | None) -> tuple[str, ...]:
    if only == VERSION:
        return ()
    everything = (*COMMANDS, *GROUPS)
    return (only,) if only in everything else everything


def _show_version(asked: bool) -> None:
    """Print the version and end, if it was asked for."""
    if asked:
        out.print(f"cosmic {__version__}", highlight=False)
        raise typer.Exit


def _program(
    version: Annotated[
        bool,
        typer.Option(
            VERSION, callback=_show_version, is_eager=True, help="Show the version and exit."
        ),
    ] = False,
) -> None:
    """Take the options of the program itself.

    It is needed even without options: typer would make a single command the whole program.
    """


def run() -> None:
    """Run the command; errors end it with one line and their exit code."""
    sys.exit(int(_code(as_json="--json" in sys.argv)))


def _code(*, as_json: bool) -> int:
    try:
        app = application(sys.argv[1] if len(sys.argv) > 1 else None)
        return int(app(standalone_mode=False) or 0)
    except CosmicError as error:
        return report(error, as_json=as_json)
    except TyperException as error:
        return _usage(error, as_json=as_json)
    except typer.Exit as done:
        return done.exit_code
    except (KeyboardInterrupt, typer.Abort):
        return report(Interrupted("stopped by you"), as_json=as_json)
    except Exception as error:  # noqa: BLE001 - the outermost edge
        return _unexpected(error, as_json=as_json)


def _unexpected(error: Exception, *, as_json: bool) -> int:
    """Our mistake, unless what lacks is a package that only some commands need."""
    try:
        if isinstance(error, ModuleNotFoundError):
            return report(not_installed(error), as_json=as_json)
    except ModuleNotFoundError:
        pass  # no optional package
    return report_bug(error, as_json=as_json)


def _usage(error: TyperException, *, as_json: bool) -> int:
    """What a person typed can't be understood; without any word there was only help to show."""
    message = error.format_message()
    if not message:
        return Exit.INVALID
    context = getattr(error, "ctx", None)
    name = context.command_path if context else "cosmic"
    hint = f"`{name} --help` shows what it takes"
    return report(InputError(message.rstrip("."), code="usage", hint=hint), as_json=as_json)
