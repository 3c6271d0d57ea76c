"""`cosmic plan`: what a manifest would do, before it costs anything."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from cosmic.client.defaults import PREFIX
from cosmic.client.deployment import Deployment
from cosmic.client.plan import HOW_TO_MEASURE, UNMEASURED, RateSource
from cosmic.errors import InvalidInput
from cosmic_cli.exit_codes import Exit, out, show_json
from cosmic_cli.options import AsJson, ManifestFile, MaxCost, Prefix, RowsPerS, on_deployment
from cosmic_cli.views.tables import pairs_table


@on_deployment
def plan(
    deployment: Deployment,
    manifest: ManifestFile,
    like: Annotated[
        str | None, typer.Option(help="A finished run of the same model, to take its rate from.")
    ] = None,
    measured: Annotated[
        Path | None,
        typer.Option(
            "--from",
            help="A run's metrics.json, what `cosmic tune --json` printed, or a model's card.json.",
        ),
    ] = None,
    rows_per_s: RowsPerS = None,
    max_cost: MaxCost = None,
    prefix: Prefix = PREFIX,
    as_json: AsJson = False,
) -> None:
    """Show what a manifest would do: ranks, bytes, memory, time and cost, or why it is refused.

    Checks data and model as `init` would; writes nothing and starts nothing. Time and cost depend
    on how fast this model runs, which `cosmic tune` or a finished run of it says. Without either,
    only the cost of requests and state transitions is known, and the most that the run may cost:
    with every function at its time limit. --max-cost is compared with the expected cost if there
    is one, otherwise with that maximum.

    Example: cosmic plan manifest.json --local

    JSON: {"ok", "problems", "warnings", "ranks", "rows", "partitions", "bytes", "rows_per_rank",
    "memory_mb", "function_mb", "channel", "engine", "precision", "expected": null or {"wall_s",
    "rank_s", "waves", "starts", "measured"}, "counts": {"invocations", "transitions", "s3_gets",
    "s3_puts"}, "usd_at_least", "usd_at_most", "bill": null or as in metrics.json,
    "alternatives": {"rows_per_s", "assumed", "of": [{"ranks", "planned", "wall_s", "usd"}]}}
    """
    source = RateSource(like, measured, rows_per_s)
    try:
        document = deployment.plan(manifest, source, prefix, max_cost_usd=max_cost).document()
    except InvalidInput as error:
        if not as_json:
            raise
        show_json({"ok": False, "problems": [p.as_dict() for p in error.problems]})
        raise typer.Exit(Exit.INVALID) from error
    if as_json:
        show_json(document)
    else:
        _show(document)


def _show(document: dict[str, Any]) -> None:
    rows = document["rows_per_rank"]
    table = pairs_table()
    for name, value in (
        ("ranks", f"{document['ranks']}, {document['at_once']} at once"),
        ("rows", f"{document['rows']:,} in {document['partitions']} partitions"),
        ("rows per rank", f"{rows['least']:,} to {rows['most']:,}"),
        ("bytes to read", f"{document['bytes']:,}"),
        ("memory per rank", f"{document['memory_mb']} of {document['function_mb']} MB"),
        ("messages", document["channel"]),
        ("engine", f"{document['engine']}, {document['precision']}"),
        *(_expected(document) if document["expected"] else _unknown(document)),
        *_alternatives(document["alternatives"]),
    ):
        table.add_row(name, value)
    out.print(table)
    for warning in document["warnings"]:
        out.print(f"warning: {warning}", markup=False)


def _expected(document: dict[str, Any]) -> Iterator[tuple[str, str]]:
    expected, bill = document["expected"], document["bill"]
    wall_s, rank_s = expected["wall_s"], expected["rank_s"]
    yield "expected time", f"{wall_s:.0f} s, a rank {rank_s:.0f} s; {expected['starts']} start"
    measured = expected["measured"]
    rates = ", ".join(f"{rate:.0f}" for rate in measured["rows_per_s"].values())
    yield "rows/s of a core", f"{rates} ({measured['where']})"
    for line in bill["lines"]:
        yield line["item"], f"{line['formula']} = ${line['usd']:.6f}"
    million = bill["usd_per_million_rows"]
    yield "expected cost", f"${bill['usd']:.6f} (${million:.2f} per million rows)"
    yield "cost at most", f"${document['usd_at_most']:.6f}, every function at its time limit"


def _alternatives(document: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Fewer ranks, those planned, more."""
    rate = f" at an assumed {document['rows_per_s']:.0f} rows/s" if document["assumed"] else ""
    for found in document["of"]:
        mark = ", planned" if found["planned"] else ""
        name = f"with {found['ranks']:,} rank{'s' if found['ranks'] > 1 else ''}{mark}"
        yield name, f"{found['wall_s']:.0f} s, ${found['usd']:.6f}{rate}"


def _unknown(document: dict[str, Any]) -> Iterator[tuple[str, str]]:
    counts = document["counts"]
    yield "expected time", UNMEASURED
    yield "S3 requests", f"{counts['s3_gets']:,} reads, {counts['s3_puts']:,} writes and lists"
    yield "state transitions", f"{counts['transitions']:,}"
    yield "expected cost", f"${document['usd_at_least']:.6f} and Lambda's time, {UNMEASURED}"
    yield "cost at most", f"${document['usd_at_most']:.6f}, every function at its time limit"
    yield "to measure it", HOW_TO_MEASURE
