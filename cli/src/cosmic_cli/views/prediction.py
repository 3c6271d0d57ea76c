"""What people see of a prediction on this machine: how far it is, and what came out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.filesize import decimal
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from cosmic.report.formatting import percent
from cosmic.workstation.predict import Prediction, Step
from cosmic_cli.views.run import domain_rows, photo_z_rows

EVERY = 0.1  # of the rows: what is told where there is no bar
BYTES = "downloading"


class Speed(ProgressColumn):
    """Rows or bytes in a second, as they came lately."""

    def render(self, task: Task) -> Text:
        """The rate of a task."""
        return Text(_rate(task.description, task.finished_speed or task.speed))


def _rate(phase: str, speed: float | None) -> str:
    if not speed:
        return ""
    return f"{decimal(int(speed))}/s" if phase == BYTES else f"{speed:,.0f} rows/s"


@contextmanager
def shown(console: Console) -> Iterator[Callable[[Step], None]]:
    """What shows each step: a bar on a terminal, which goes with the block, else some lines."""
    if not console.is_terminal:
        yield _Lines(console)
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=None),
        TextColumn("{task.percentage:>3.0f}%"),
        Speed(),
        TimeRemainingColumn(elapsed_when_finished=True),
    )
    with Progress(*columns, console=console, transient=True, expand=True) as bars:
        yield _Bars(bars)


class _Bars:
    """One bar a phase; what was done before this call is no part of its speed."""

    def __init__(self, bars: Progress) -> None:
        self._bars, self._tasks = bars, dict[str, Any]()

    def __call__(self, step: Step) -> None:
        if step.phase not in self._tasks:
            for earlier in self._tasks.values():
                self._bars.update(earlier, visible=False)
            self._tasks[step.phase] = self._bars.add_task(
                step.phase, total=step.of, completed=step.done
            )
        task = self._tasks[step.phase]
        if step.phase == "merging":
            self._bars.update(task, total=None if step.done < step.of else step.of)
        self._bars.update(task, completed=step.done)


class _Lines:
    """A line at the beginning of each phase, and whenever another tenth is done."""

    def __init__(self, console: Console) -> None:
        self._console, self._phase, self._told = console, "", 0.0

    def __call__(self, step: Step) -> None:
        share = step.done / step.of if step.of else 1.0
        if step.phase == self._phase and share < min(1.0, self._told + EVERY):
            return
        if step.phase == self._phase and share == self._told:
            return
        self._phase, self._told = step.phase, share
        done, of = (decimal(n) if step.phase == BYTES else f"{n:,}" for n in (step.done, step.of))
        unit = "" if step.phase == BYTES else " rows"
        self._console.print(f"{step.phase}: {done} of {of}{unit}", highlight=False, soft_wrap=True)


def prediction_table(made: Prediction) -> Table:
    """The short table at the end."""
    table = Table(title=f"{made.out}: {made.status.state.value}", show_header=False)
    for name, value in _rows(made):
        table.add_row(name, value)
    return table


def _rows(made: Prediction) -> Iterator[tuple[str, str]]:
    status, metrics, run = made.status, made.metrics, made.metrics["run"]
    rows = status.rows_out or 0
    yield "objects", f"{rows:,}, {status.rows_flagged or 0:,} of them flagged"
    for name, count in metrics["flags"].items():
        if count:
            yield f"  {name}", f"{count:,} ({percent(count / rows)})"
    yield from domain_rows(metrics)
    yield from photo_z_rows(metrics["photo_z"])
    threads = ", ".join(map(str, run["threads"]))
    yield "wall time", f"{run['wall_s']:,.1f} s, {run['rows_per_wall_s']:,.0f} rows/s"
    yield "in the model", f"{run['rows_per_compute_s']:,.0f} rows/s, threads: {threads}"
    yield "peak memory", f"{run['peak_memory_mb']:,} MiB"
