"""How far a call has come that works through files, as people see it."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.filesize import decimal
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

from cosmic.workstation.step import Step

EVERY = 0.1  # of the rows: what is told where there is no bar


class Speed(ProgressColumn):
    """Rows or bytes in a second, as they came lately."""

    def render(self, task: Task) -> Text:
        """The rate of a task."""
        speed = task.finished_speed or task.speed
        if not speed:
            return Text("")
        in_bytes = task.fields["in_bytes"]
        return Text(f"{decimal(int(speed))}/s" if in_bytes else f"{speed:,.0f} rows/s")


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
                step.phase, total=step.of, completed=step.done, in_bytes=step.in_bytes
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
        done, of = (decimal(n) if step.in_bytes else f"{n:,}" for n in (step.done, step.of))
        unit = "" if step.in_bytes else " rows"
        self._console.print(f"{step.phase}: {done} of {of}{unit}", highlight=False, soft_wrap=True)


def same_command(*left_out: str) -> str:
    """The command that a person gave, as it can be given again."""
    return shlex.join(["cosmic", *(word for word in sys.argv[1:] if word not in left_out)])
