"""The `cosmic` command: its parts put together, and the one place where errors end."""

from __future__ import annotations

import sys

import typer
from typer.exceptions import TyperException

from cosmic.errors import CosmicError, InputError
from cosmic_cli.commands import cai, data, local
from cosmic_cli.commands.bench import bench
from cosmic_cli.commands.cancel import cancel
from cosmic_cli.commands.demo import demo
from cosmic_cli.commands.destroy import destroy
from cosmic_cli.commands.doctor import doctor
from cosmic_cli.commands.plan import plan
from cosmic_cli.commands.plots import plots
from cosmic_cli.commands.rendezvous import rendezvous
from cosmic_cli.commands.report import report as report_command
from cosmic_cli.commands.results import results
from cosmic_cli.commands.resume import resume
from cosmic_cli.commands.runs import runs
from cosmic_cli.commands.status import status
from cosmic_cli.commands.submit import submit
from cosmic_cli.commands.tune import tune
from cosmic_cli.commands.validate import validate
from cosmic_cli.commands.watch import watch
from cosmic_cli.exits import Exit, Interrupted, report, report_bug
from cosmic_cli.training.command import app as model_app

app = typer.Typer(
    help="Photometric redshifts from images: drop a manifest, get a catalogue.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
COMMANDS = (
    demo,
    doctor,
    validate,
    plan,
    submit,
    watch,
    status,
    results,
    report_command,
    plots,
    runs,
    resume,
    cancel,
    tune,
    rendezvous,
    bench,
    destroy,
)
for command in COMMANDS:
    app.command()(command)
app.add_typer(data.app, name="data")
app.add_typer(model_app, name="model")
app.add_typer(local.app, name="local")
app.add_typer(cai.app, name="cai")


def run() -> None:
    """Run the command; errors end it with one line and their exit code."""
    sys.exit(int(_code(as_json="--json" in sys.argv)))


def _code(*, as_json: bool) -> int:
    try:
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
