"""`cosmic cai`: what CAI's users bring and take home."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from cosmic.client.run import Run
from cosmic.compat.cai.combined_data import NAME, combined_data
from cosmic.contracts.layout import RunFolder
from cosmic.contracts.location import Location
from cosmic.contracts.manifest import parse_manifest
from cosmic.contracts.plan import Plan
from cosmic.contracts.rank_record import parse_record
from cosmic.errors import CosmicError, InputError
from cosmic.storage.damaged import RESUME, parsed
from cosmic.storage.objects import Store
from cosmic.storage.run_store import RunStore
from cosmic_cli.exit_codes import out, show_json
from cosmic_cli.options import AsJson, on_run

app = typer.Typer(help="Coming from CAI.", no_args_is_help=True)

Into = Annotated[Path, typer.Option(help="Folder in which to make <result_path>.")]
ResultPath = Annotated[
    str | None, typer.Option(help="Used instead of the manifest's, or of the run's id.")
]


@app.command()
@on_run
def combined(
    run: Run,
    into: Into = Path(),
    result_path: ResultPath = None,
    as_json: AsJson = False,
) -> None:
    """Write a run's combined_data.json where CAI's statistics scripts look for it.

    Example: cosmic cai combined demo-0123456789ab --result-path result-partition-25MB/1GB/1

    JSON: {"path", "ranks"}
    """
    store, folder = run.stack.store(), run.folder
    plan = _plan_of(store, folder)
    entries = _entries(store, folder, plan)
    where = result_path or (plan.cai.result_path if plan.cai else run.id)
    path = into / where / NAME
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps([{**e, "result_path": where} for e in entries]))
    if as_json:
        show_json({"path": str(path), "ranks": len(entries)})
    else:
        out.print(f"{path}: {len(entries)} ranks", highlight=False, soft_wrap=True)


@app.command()
def manifest(
    payload: Annotated[Path, typer.Argument(dir_okay=False, help="CAI's payload.")],
    as_json: AsJson = False,
) -> None:
    """Show the manifest that a CAI payload is read as, and what is ignored.

    Example: cosmic cai manifest payload.json

    JSON: {"manifest", "warnings"}
    """
    try:
        parsed = parse_manifest(payload.read_bytes())
    except OSError as error:
        raise InputError(f"{payload}: {error.strerror}", code="not-found") from error
    shown = {"version": 1, **parsed.model_dump(mode="json", exclude_defaults=True)}
    if as_json:
        show_json({"manifest": shown, "warnings": parsed.warnings})
        return
    out.print_json(data=shown)
    for warning in parsed.warnings:
        out.print(f"warning: {warning}", markup=False, highlight=False, soft_wrap=True)


def _plan_of(store: Store, folder: RunFolder) -> Plan:
    try:
        return RunStore(store, folder).plan()
    except InputError as error:
        if error.code != "not-found":
            raise
        hint = "check its id, and --prefix if the manifest has an output.prefix"
        message = f"no run {folder.run} with a plan in s3://{folder.bucket}"
        raise CosmicError(message, code="no-run", hint=hint) from error


def _entries(store: Store, folder: RunFolder, plan: Plan) -> list[dict[str, Any]]:
    """CAI's form of the existing records."""
    keys = [o.key for o in store.list(folder.at("records/")) if "/rank-" in o.key]
    places = [Location(folder.bucket, key) for key in keys]
    records = [parsed(parse_record, store.get(at), at, RESUME) for at in places]
    return combined_data(plan, records)
