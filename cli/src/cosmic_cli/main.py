"""The `cosmic` command."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from cosmic.errors import CosmicError
from cosmic.manifest import parse_manifest
from cosmic.runs import RunFolder
from cosmic.status import State, Status
from cosmic_cli import local_command
from cosmic_cli.demo import DemoOptions, download, run_demo
from cosmic_cli.exits import Exit, err, of_status, out, report
from cosmic_cli.submission import follow, look, submit
from cosmic_cli.synth.command import app as data_app
from cosmic_cli.target import STATE_DIR, Target, find_target
from cosmic_cli.training.command import app as model_app
from cosmic_cli.view import show_problems, show_progress, summary_table

app = typer.Typer(
    help="Photometric redshifts from images: drop a manifest, get a catalogue.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.add_typer(local_command.app, name="local", help="The local stack.")
app.add_typer(data_app, name="data", help="Data sets.")
app.add_typer(model_app, name="model", help="Models.")

Local = Annotated[
    bool, typer.Option("--local", help="Use the stack that `cosmic local up` started.")
]
StateDir = Annotated[Path, typer.Option(help="The local stack's folder.")]
StackName = Annotated[str, typer.Option("--stack", help="Name of the stack in AWS.")]
Profile = Annotated[str | None, typer.Option(help="AWS profile.")]
Region = Annotated[str | None, typer.Option(help="AWS region.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON alone.")]
Prefix = Annotated[str, typer.Option(help="The manifest's output.prefix.")]


@app.command()
def demo(
    root: Annotated[Path, typer.Option(help="The project's folder.")] = Path(),
    results: Annotated[Path, typer.Option(help="Where the results go.")] = Path("cosmic-demo"),
    world_size: Annotated[int, typer.Option(min=1, help="Number of ranks.")] = 4,
    objects: Annotated[int | None, typer.Option(min=1, help="Galaxies; all by default.")] = None,
    as_json: AsJson = False,
) -> None:
    """Do everything once on this machine, with real photometry and redshifts.

    Example: cosmic demo --world-size 2
    """
    console = err if as_json else out
    options = DemoOptions(root.resolve(), results, world_size, objects)
    status, place = run_demo(options, console)
    _show_end(status, place, as_json=as_json)


@app.command()
def validate(manifest: Annotated[Path, typer.Argument(dir_okay=False, exists=True)]) -> None:
    """Check a manifest without sending it anywhere.

    Example: cosmic validate manifest.json
    """
    parsed = parse_manifest(manifest.read_bytes())
    out.print(f"{manifest} is a valid manifest of job {parsed.job}", highlight=False)


@app.command(name="submit")
def submit_command(
    manifest: Annotated[Path, typer.Argument(dir_okay=False)],
    wait: Annotated[bool, typer.Option("--wait", help="Follow the run to its end.")] = False,
    local: Local = False,
    state_dir: StateDir = STATE_DIR,
    stack: StackName = "cosmic",
    profile: Profile = None,
    region: Region = None,
    as_json: AsJson = False,
) -> None:
    """Drop a manifest into the bucket, which starts a run.

    Example: cosmic submit manifest.json --wait
    """
    target = find_target(
        local=local, state_dir=state_dir, stack_name=stack, profile=profile, region=region
    )
    folder = submit(target, manifest)
    if not wait:
        _print_run(folder, as_json=as_json)
        return
    try:
        status = show_progress(follow(target, folder), err if as_json else out)
    except KeyboardInterrupt:
        err.print(f"no longer following {folder.run}; it goes on: `cosmic status {folder.run}`")
        raise
    _show_status(target, folder, status, as_json=as_json)


@app.command(name="status")
def status_command(
    run: str,
    prefix: Prefix = "runs/",
    local: Local = False,
    state_dir: StateDir = STATE_DIR,
    stack: StackName = "cosmic",
    profile: Profile = None,
    region: Region = None,
    as_json: AsJson = False,
) -> None:
    """Say what became of a run.

    Example: cosmic status demo-0123456789ab --local
    """
    target = find_target(
        local=local, state_dir=state_dir, stack_name=stack, profile=profile, region=region
    )
    folder = RunFolder(target.bucket, prefix, run)
    _show_status(target, folder, _status_of(target, folder), as_json=as_json)


@app.command()
def results(
    run: str,
    into: Annotated[Path, typer.Option(help="Folder to copy to.")] = Path("results"),
    prefix: Prefix = "runs/",
    local: Local = False,
    state_dir: StateDir = STATE_DIR,
    stack: StackName = "cosmic",
    profile: Profile = None,
    region: Region = None,
) -> None:
    """Copy a run's catalogue and metrics here.

    Example: cosmic results demo-0123456789ab --into results
    """
    target = find_target(
        local=local, state_dir=state_dir, stack_name=stack, profile=profile, region=region
    )
    folder = RunFolder(target.bucket, prefix, run)
    place = download(target.store(), folder, _status_of(target, folder), into)
    out.print(str(place), highlight=False, soft_wrap=True)


def _status_of(target: Target, folder: RunFolder) -> Status:
    snapshot = look(target.store(), folder)
    if snapshot.status is None:
        hint = "check its id, and --prefix if the manifest has an output.prefix"
        raise CosmicError(f"no run {folder.run} in s3://{folder.bucket}", code="no-run", hint=hint)
    return snapshot.status


def _print_run(folder: RunFolder, *, as_json: bool) -> None:
    if as_json:
        out.print_json(data={"run": folder.run, "status": folder.status.uri})
    else:
        out.print(folder.run, highlight=False)


def _show_status(target: Target, folder: RunFolder, status: Status, *, as_json: bool) -> None:
    if as_json:
        sys.stdout.write(status.model_dump_json(indent=1) + "\n")
    elif status.state in (State.REJECTED, State.RUNNING) or not status.outputs:
        out.print(f"{status.run}: {status.state.value}", highlight=False)
        show_problems(status, out)
    else:
        metrics = json.loads(target.store().get(folder.metrics))
        out.print(summary_table(status, metrics))
        show_problems(status, out)
        for name, uri in status.outputs.items():
            out.print(f"{name}: {uri}", highlight=False, soft_wrap=True)
    raise typer.Exit(of_status(status))


def _show_end(status: Status, place: Path, *, as_json: bool) -> None:
    metrics_file = place / "metrics.json"
    metrics = json.loads(metrics_file.read_text()) if metrics_file.exists() else None
    if as_json:
        document = {"status": json.loads(status.model_dump_json()), "metrics": metrics}
        out.print_json(data=document)
    else:
        if metrics is not None:
            out.print(summary_table(status, metrics))
        show_problems(status, out)
        out.print(f"results: {place}", highlight=False, soft_wrap=True)
    raise typer.Exit(of_status(status))


def run() -> None:
    """Run the command; errors end it with one line and their exit code."""
    try:
        code = app(standalone_mode=False)
    except CosmicError as error:
        code = report(error)
    except typer.Exit as done:
        code = done.exit_code
    except (KeyboardInterrupt, typer.Abort):
        err.print("interrupted")
        code = Exit.INTERRUPTED
    sys.exit(int(code or 0))
