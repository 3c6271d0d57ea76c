"""What people see of data that were put into a bucket."""

from __future__ import annotations

from rich.console import Console

from cosmic.client.run import Run
from cosmic.workstation.put import PutData
from cosmic_cli.exit_codes import Interrupted
from cosmic_cli.views.packed import taken_table
from cosmic_cli.views.steps import same_command


def show_put(made: PutData, console: Console) -> None:
    """Print what was taken for what, and what was put where."""
    if made.packed is not None:
        console.print(taken_table(made.packed))
    for warning in made.warnings:
        console.print(f"warning: {warning}", markup=False, highlight=False, soft_wrap=True)
    there = made.partitions - made.uploaded
    already = f", {there:,} of them were there" if there else ""
    for text in (
        f"data: {made.uri}: {made.rows:,} rows in {made.partitions:,} partitions{already}",
        f"model: {made.model}",
        f"manifest: {made.manifest}",
    ):
        console.print(text, markup=False, highlight=False, soft_wrap=True)


def stopped() -> Interrupted:
    """What is said after Ctrl-C."""
    hint = f"`{same_command()}` continues"
    return Interrupted("stopped by you; what was uploaded stays in the bucket", hint=hint)


def put_document(made: PutData, run: Run | None) -> dict[str, str | int | None]:
    """The same as JSON."""
    return {
        "manifest": str(made.manifest),
        "data": made.uri,
        "model": made.model,
        "rows": made.rows,
        "partitions": made.partitions,
        "uploaded": made.uploaded,
        "run": run.id if run else None,
        "status": run.uri if run else None,
    }
