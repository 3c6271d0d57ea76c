"""What `cosmic tune` shows: what was measured, what is modelled, the curve."""

from __future__ import annotations

import math
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from cosmic.calibration.tune import Tuning
from cosmic.costs.measured import Measured
from cosmic.costs.predict import Prediction
from cosmic_cli.views.tables import pairs_table, whole_table

WIDTH, HEIGHT = 60, 12
COLUMNS = ("", "MB", "ranks", "batch", "part", "wall s", "MiB", "cost", "$/M rows")
SHOWN = 12


def show(console: Console, tuning: Tuning) -> None:
    """Print both tables and the plot."""
    job, advice = tuning.job, tuning.advice
    console.print(measured_table(tuning.measured))
    starts = "cold" if job.cold else "warm"
    title = f"Modelled for {tuning.platform.name}: {job.rows:,} rows, environments {starts}"
    named = [(name.replace("_", " "), p) for name, p in tuning.recommended.items()]
    console.print(_table(title, named, job.rows))
    console.print(
        "part: rows of a partition; MiB: peak of a rank; best value: least cost x duration",
        highlight=False,
    )
    curve = [("", p) for p in thinned(advice.curve, SHOWN)]
    console.print(_table("Modelled: what no other beats in both", curve, job.rows))
    marks = {"F": advice.fastest, "C": advice.cheapest, "V": advice.best_value}
    console.print(plot(advice.curve, marks), highlight=False, markup=False)
    console.print(
        f"{advice.considered[1]:,} of {advice.considered[0]:,} configurations meet the constraints",
        highlight=False,
    )


def measured_table(measured: Measured) -> Table:
    """What the prediction stands on."""
    table = pairs_table(f"Measured: {measured.where}")
    rates = ", ".join(f"{size}: {rate:.0f}" for size, rate in sorted(measured.rows_per_s.items()))
    table.add_row("engine", f"{measured.engine}, {measured.precision}")
    table.add_row("model (sha256)", (measured.model_sha256 or "not known")[:12])
    table.add_row("rows/s of a core, by batch size", rates)
    table.add_row("share that threads don't shorten", f"{measured.serial_share:.1%}")
    table.add_row("start of the process", _seconds(measured.init_s))
    table.add_row("model read and warm", _seconds(measured.load_s))
    table.add_row("peak memory of a rank", f"{measured.peak_memory_mb} MiB")
    return table


def _seconds(value: float | None) -> str:
    return "not seen" if value is None else f"{value:.2f} s"


def _table(title: str, found: Sequence[tuple[str, Prediction]], rows: int) -> Table:
    numbers = ("MB", "ranks", "batch", "rows/partition", "wall", "peak", "cost", "/million")
    table = whole_table("", *numbers, title=title)
    for column in table.columns[1:]:
        column.justify = "right"
    for name, p in found:
        c = p.configuration
        table.add_row(
            name,
            f"{c.memory_mb:,}",
            f"{c.world_size:,}",
            str(c.batch_size),
            f"{c.partition_rows:,}",
            f"{p.wall_s:.1f}",
            str(p.peak_memory_mb),
            f"${p.usd:.4f}",
            f"{p.usd / rows * 1e6:.2f}",
        )
    return table


def thinned(curve: Sequence[Prediction], most: int) -> list[Prediction]:
    """At most this many of them, evenly spaced, the first and the last among them."""
    if len(curve) <= most:
        return list(curve)
    return [curve[round(i * (len(curve) - 1) / (most - 1))] for i in range(most)]


def plot(curve: Sequence[Prediction], marks: dict[str, Prediction]) -> str:
    """Cost over wall as text, both logarithmic: a dot each, a letter where one is recommended."""
    xs, ys = ([math.log(p.wall_s) for p in curve], [math.log(p.usd) for p in curve])
    grid = [[" "] * WIDTH for _ in range(HEIGHT)]
    letters = [("·", p) for p in curve] + list(marks.items())
    for letter, p in letters:
        x = _place(math.log(p.wall_s), xs, WIDTH)
        y = _place(math.log(p.usd), ys, HEIGHT)
        grid[HEIGHT - 1 - y][x] = letter
    lines = ["│" + "".join(row) for row in grid]
    low, high = min(p.wall_s for p in curve), max(p.wall_s for p in curve)
    least, most = min(p.usd for p in curve), max(p.usd for p in curve)
    scale = f"{low:.1f} s".ljust(WIDTH - 10) + f"{high:.1f} s".rjust(10)
    legend = "  F fastest  V best value  C cheapest"
    return "\n".join([f"${most:.4f}{legend}", *lines, "└" + "─" * WIDTH, f"${least:.4f} {scale}"])


def _place(value: float, among: Sequence[float], cells: int) -> int:
    low, high = min(among), max(among)
    return round((value - low) / (high - low) * (cells - 1)) if high > low else 0
