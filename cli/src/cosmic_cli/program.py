"""The `cosmic` command: its parts put together, and the one place where errors end."""

from __future__ import annotations

import errno
import os
import sys
from contextlib import suppress
from importlib import import_module
from typing import Annotated, TextIO

import typer
from typer.exceptions import TyperException

from cosmic.errors import CosmicError, InputError
from cosmic.extras import not_installed
from cosmic_cli import __version__
from cosmic_cli.exit_codes import Exit, Interrupted, out, report, report_bug
from cosmic_cli.interrupts import MESSAGE, asked

VERSION = "--version"
FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
COMMANDS = (
    "predict", "demo", "doctor", "validate", "plan", "submit", "watch", "status", "results",
    "report", "compare", "plots", "qp", "hats", "runs", "resume", "cancel", "tune", "rendezvous",
    "bench", "destroy",
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


def exit_code(*, as_json: bool) -> int:
    """Run the command that `sys.argv` names; errors end it with one line and this code."""
    try:
        app = application(sys.argv[1] if len(sys.argv) > 1 else None)
        return _ended(int(app(standalone_mode=False) or 0))
    except CosmicError as error:
        return report(error, as_json=as_json)
    except TyperException as error:
        return _usage(error, as_json=as_json)
    except typer.Exit as done:
        return done.exit_code
    except (KeyboardInterrupt, typer.Abort):
        return report(Interrupted(MESSAGE), as_json=as_json)
    except Exception as error:  # noqa: BLE001 - the outermost edge
        return _unexpected(error, as_json=as_json)


def _ended(code: int) -> int:
    """The code that a command ended with.

    Raises:
        Interrupted: it was stopped, of which typer makes a silent exit.
    """
    if code == Exit.INTERRUPTED and asked():
        raise Interrupted(MESSAGE)
    return code


def _unexpected(error: Exception, *, as_json: bool) -> int:
    """The code of an error that nobody raised on purpose: the machine's, or a bug of ours."""
    if asked():
        return report(Interrupted(MESSAGE), as_json=as_json)
    if isinstance(error, BrokenPipeError):  # who read the output has enough, as in `| head`
        _let_go(sys.stdout)
        return Exit.FAILED
    if isinstance(error, OSError) and error.errno in FULL:
        where = f"{error.filename}: " if error.filename else ""
        full = CosmicError(
            f"{where}{error.strerror}", code="disk-full", hint="free some space there"
        )
        _let_go(sys.stdout)
        return report(full, as_json=as_json)
    if isinstance(error, MemoryError):
        hint = "close other programs, or give it less at a time"
        return report(CosmicError("out of memory", code="no-memory", hint=hint), as_json=as_json)
    if isinstance(error, ModuleNotFoundError) and (missing := _optional(error)):
        return report(missing, as_json=as_json)
    return report_bug(error, as_json=as_json)


def _optional(error: ModuleNotFoundError) -> InputError | None:
    """The error that names the extra of a package that only some commands need."""
    try:
        return not_installed(error)
    except ModuleNotFoundError:
        return None


def _let_go(stream: TextIO) -> None:
    """Let what is still to be written to a stream go nowhere: Python flushes it at the end."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _usage(error: TyperException, *, as_json: bool) -> int:
    """What a person typed can't be understood; without any word there was only help to show."""
    message = error.format_message()
    if not message:
        return Exit.INVALID
    context = getattr(error, "ctx", None)
    name = context.command_path if context else "cosmic"
    hint = f"`{name} --help` shows what it takes"
    return report(InputError(message.rstrip("."), code="usage", hint=hint), as_json=as_json)
