"""`cosmic plan`: what a manifest would do, before it costs anything."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated, Any

import typer
from rich.table import Table

from cosmic.contracts.layout import RunFolder
from cosmic.contracts.manifest import parse_manifest
from cosmic.contracts.plan import Limits, Plan
from cosmic.costs.bill import bill_document
from cosmic.errors import InputError, InvalidInput
from cosmic.planning.start_run import plan_run, survey_input
from cosmic_cli.exit_codes import Exit, out, show_json
from cosmic_cli.files import read_file
from cosmic_cli.options import PREFIX, AsJson, ManifestFile, Prefix, on_target
from cosmic_cli.planning import (
    Rates,
    bytes_to_read,
    default_rates,
    expect,
    limits_of,
    needed_mb,
)
from cosmic_cli.target import Target


@on_target
def plan(
    target: Target,
    manifest: ManifestFile,
    like: Annotated[str | None, typer.Option(help="A finished run whose rate is taken.")] = None,
    rows_per_s: Annotated[float | None, typer.Option(min=0.001, help="A rank's rate.")] = None,
    prefix: Prefix = PREFIX,
    as_json: AsJson = False,
) -> None:
    """Say what a manifest would do: ranks, bytes, memory, time and cost, or why it is refused.

    Data and model are looked at as `init` would; nothing is written, nothing is started.

    Example: cosmic plan manifest.json --local

    JSON: {"ok", "problems", "warnings", "ranks", "rows", "partitions", "bytes", "rows_per_rank",
    "memory_mb", "function_mb", "channel", "engine", "precision", "expected": {"wall_s", "rank_s",
    "waves", "rates"}, "bill": as in metrics.json}
    """
    text = read_file(manifest)
    try:
        document = _planned(target, text, _rates(target, prefix, like, rows_per_s))
    except InvalidInput as error:
        if not as_json:
            raise
        show_json({"ok": False, "problems": [p.as_dict() for p in error.problems]})
        raise typer.Exit(Exit.INVALID) from error
    if as_json:
        show_json(document)
    else:
        _show(document)


def _planned(target: Target, text: bytes, rates: Rates | None) -> dict[str, Any]:
    parsed = parse_manifest(text)
    limits = limits_of(target)
    found = survey_input(parsed, target.store(), limits)
    planned = plan_run("plan", parsed, found, limits)
    if not isinstance(planned, Plan):
        raise InvalidInput(planned)
    return _document(planned, limits, needed_mb(parsed, found), rates or default_rates(planned))


def _rates(target: Target, prefix: str, like: str | None, rows_per_s: float | None) -> Rates | None:
    if rows_per_s is not None:
        return Rates(rows_per_s, "--rows-per-s")
    if like is None:
        return None
    folder = RunFolder(target.bucket, prefix, like)
    try:
        run = json.loads(target.store().get(folder.metrics))["run"]
    except InputError as error:
        raise InputError(f"no finished run {like}: {error.message}", code="no-run") from error
    return Rates(run["rows_per_compute_s"], f"run {like}")


def _document(plan: Plan, limits: Limits, memory_mb: int, rates: Rates) -> dict[str, Any]:
    expected = expect(plan, limits, rates)
    rows = [rank.rows for rank in plan.ranks]
    return {
        "ok": True,
        "problems": [],
        "warnings": list(plan.warnings),
        "ranks": plan.world_size,
        "at_once": min(plan.world_size, limits.world_size),
        "rows": plan.rows,
        "partitions": len(plan.partitions),
        "bytes": bytes_to_read(plan),
        "rows_per_rank": {"least": min(rows), "most": max(rows)},
        "memory_mb": memory_mb,
        "function_mb": limits.memory_mb,
        "channel": plan.channel,
        "engine": plan.engine,
        "precision": plan.precision,
        "expected": {
            "wall_s": expected.wall_s,
            "rank_s": expected.rank_s,
            "waves": expected.waves,
            "rates": asdict(rates),
        },
        "bill": bill_document(expected.lines, plan.rows),
    }


def _show(document: dict[str, Any]) -> None:
    rows, expected, bill = document["rows_per_rank"], document["expected"], document["bill"]
    table = Table(show_header=False)
    for name, value in (
        ("ranks", f"{document['ranks']}, {document['at_once']} at once"),
        ("rows", f"{document['rows']:,} in {document['partitions']} partitions"),
        ("rows of a rank", f"{rows['least']:,} to {rows['most']:,}"),
        ("bytes to read", f"{document['bytes']:,}"),
        ("memory of a rank", f"{document['memory_mb']} of {document['function_mb']} MB"),
        ("messages", document["channel"]),
        ("engine", f"{document['engine']}, {document['precision']}"),
        ("expected time", f"{expected['wall_s']:.0f} s, a rank {expected['rank_s']:.0f} s"),
        ("", f"{expected['rates']['rows_per_s']:.0f} rows/s: {expected['rates']['basis']}"),
        *((line["item"], f"{line['formula']} = ${line['usd']:.6f}") for line in bill["lines"]),
        ("expected cost", f"${bill['usd']:.6f} (${bill['usd_per_million_rows']:.2f} a million)"),
    ):
        table.add_row(name, value)
    out.print(table)
    for warning in document["warnings"]:
        out.print(f"warning: {warning}", markup=False)
