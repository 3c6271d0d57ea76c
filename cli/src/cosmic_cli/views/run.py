"""What people see of a run: the progress while it lasts, the table at its end."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Table

from cosmic.contracts.clocks import AWS
from cosmic.contracts.status import Status
from cosmic.errors import TransientError
from cosmic.report.domain_words import domain_words
from cosmic.report.left_out import left_out, why_no_metrics
from cosmic_cli.views.tables import pairs_table

if TYPE_CHECKING:
    from cosmic.client.progress import Progress as RunProgress
    from cosmic.client.snapshots import Snapshot


def show_progress(snapshots: Iterable[Snapshot], console: Console) -> Status:
    """Show how a run comes on until it ends: a bar on a terminal, else a line a change.

    Returns:
        The final status.

    Raises:
        TransientError: the snapshots ended before the run did.
    """
    show = _bar if console.is_terminal else _lines
    status: Status | None = None
    for snapshot in show(snapshots, console):
        status = snapshot.status
    if status is None:
        raise TransientError("the run was not followed to its end")
    return status


def _bar(snapshots: Iterable[Snapshot], console: Console) -> Iterator[Snapshot]:
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=None),
        TextColumn("{task.fields[state]}", markup=False),
    )
    with Progress(*columns, console=console, expand=True) as bar:
        task = bar.add_task("waiting for init", total=None, state="")
        for snapshot in snapshots:
            seen = snapshot.progress
            bar.update(
                task,
                description=seen.phase,
                state=" ".join(_short(seen)),
                total=seen.rows or None,
                completed=seen.rows_done,
            )
            yield snapshot


def _short(seen: RunProgress) -> Iterator[str]:
    """What stands beside the bar, so short that it fits into 60 columns."""
    if not seen.ranks:
        return
    if seen.rows:
        yield f"{100 * seen.rows_done // seen.rows}%"
    yield f"{seen.done}/{seen.ranks} ranks" + (f", {seen.failed} failed" if seen.failed else "")
    if seen.eta_s:
        yield f"{timedelta(seconds=round(seen.eta_s))} left"
    yield f"${seen.usd:.4f}"


def _lines(snapshots: Iterable[Snapshot], console: Console) -> Iterator[Snapshot]:
    before: tuple[Any, ...] = ()
    for snapshot in snapshots:
        seen = snapshot.progress
        state = (seen.phase, seen.queued, seen.running, seen.done, seen.failed)
        if state != before:
            console.print(progress_line(seen), markup=False, highlight=False, soft_wrap=True)
        before = state
        yield snapshot


def progress_line(seen: RunProgress) -> str:
    """How far a run has come, in one line."""
    if not seen.ranks:
        return seen.phase
    counts = f"{seen.queued} queued, {seen.running} running, {seen.done} done, {seen.failed} failed"
    parts = [
        f"{seen.phase}: {seen.ranks} ranks: {counts}",
        f"{seen.rows_done:,} of {seen.rows:,} rows",
    ]
    if seen.rows_per_s is not None:
        parts.append(f"{seen.rows_per_s:,.0f} rows/s")
    if seen.eta_s:
        parts.append(f"{seen.eta_s:,.0f} s left")
    return " · ".join([*parts, f"${seen.usd:.6f} so far"])


def show_problems(status: Status, console: Console) -> None:
    """Print everything that is wrong with a run, and what is missing."""
    for problem in status.problems:
        text = f"{problem['code']}: {problem['pointer'] or '/'}: {problem['message']}"
        console.print(text + (f" ({problem['hint']})" if problem["hint"] else ""), markup=False)
    for entry in status.missing:
        text = f"rank {entry['rank']}: {entry['rows']} rows missing: {entry['reason']}"
        console.print(text, markup=False)
    for warning in status.warnings:
        console.print(f"warning: {warning}", markup=False)


def summary_table(status: Status, metrics: dict[str, Any]) -> Table:
    """The short table at a run's end."""
    table = pairs_table(f"{status.run}: {status.state.value}")
    for name, value in summary_rows(status, metrics):
        table.add_row(name, value)
    return table


def summary_rows(status: Status, metrics: dict[str, Any]) -> list[tuple[str, str]]:
    """Names and values of the table."""
    run, bill = metrics["run"], metrics["bill"]
    rows = [
        (
            "rows in / out / flagged",
            f"{status.rows_in} / {status.rows_out} / {status.rows_flagged}",
        ),
        *domain_rows(metrics),
        ("ranks", f"{status.world_size} ({run['cold_starts']} cold, {run['retries']} retries)"),
        ("FMI", status.fmi or ""),
        *photo_z_rows(metrics["photo_z"]),
        *pz_rows(metrics),
        ("wall time", f"{run['wall_s']:.1f} s from the execution's start to the merge's end"),
        ("throughput", f"{run['rows_per_wall_s']:.0f} rows/s over that wall time"),
        ("", f"{run['rows_per_compute_s']:.0f} rows/s a rank inside the model"),
        ("peak memory of a rank", f"{run['peak_memory_mb']} MB"),
    ]
    return rows + cost_rows(bill)


def cost_rows(bill: dict[str, Any]) -> list[tuple[str, str]]:
    """The bill; time of another machine is called so, beside what is expected of AWS."""
    per_million = bill["usd_per_million_rows"]
    if per_million is None:
        return []
    here = bill.get("clock", AWS) != AWS
    name = "this machine's time at AWS's prices" if here else "cost on AWS"
    rows = [(name, f"${bill['usd']:.6f} (${per_million:.2f} per million rows)")]
    if expected := bill.get("predicted_on_aws"):
        rows.append(("expected on AWS", f"${expected['usd']:.6f} in {expected['wall_s']:.1f} s"))
    return rows


def pz_rows(metrics: dict[str, Any]) -> list[tuple[str, str]]:
    """How often redshifts lie inside the intervals of p(z); nothing where that isn't known."""
    coverage = metrics.get("pz", {}).get("coverage", {})
    shares = ", ".join(f"{100 * share:.1f} %" for share in coverage.values())
    return [(f"inside the {', '.join(coverage)} % intervals of p(z)", shares)] if coverage else []


def domain_rows(metrics: dict[str, Any]) -> list[tuple[str, str]]:
    """What share of the objects is unlike the training data; older runs don't say."""
    words = domain_words(metrics)
    return [("domain of the model", words)] if words else []


def photo_z_rows(photo_z: dict[str, Any]) -> list[tuple[str, str]]:
    """Names and values of the redshifts' metrics."""
    if not photo_z["n"]:
        return [("metrics", why_no_metrics(photo_z))]
    r2 = photo_z["r2"]
    rows = [
        ("rows with z_spec", str(photo_z["n"])),
        ("bias (mean dz)", f"{photo_z['pasquet']['bias_mean']:+.5f}"),
        ("sigma_NMAD", f"{photo_z['sigma_nmad']:.5f}"),
        ("outliers |dz| > 0.05", f"{100 * photo_z['pasquet']['outliers_0.05']:.2f} %"),
        ("R²", "undefined: all z_spec are equal" if r2 is None else f"{r2:.4f}"),
    ]
    if reasons := left_out(photo_z):
        rows.append(("left out of the metrics", ", ".join(reasons)))
    return rows
