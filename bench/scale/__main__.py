"""`python -m bench.scale`: what a run takes as it grows, today and at an earlier commit.

The first table is of `aggregate`: each case is a run whose ranks are done, on an S3 of files, in a
process of its own. What counts is our code, not boto3 and the network. The page is drawn in a
process of its own too, and has a column for it. The second table is of `init`, and of what a rank
reads of its plan.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from bench.earlier import ROOT, checked_out

CHILD, PLANNING = ROOT / "bench/scale/child.py", ROOT / "bench/scale/planning.py"
ROWS_PER_RANK = 4_870
FULL = 48_700_000
INIT = ("case", "partitions", "ranks", "commit", "CPU s", "peak MiB", "plan KiB", "plan ms")
UNITS = {"k": 1_000, "M": 1_000_000}
FULL_PARTITIONS, PER_RANK = 40_000, 4
COLUMNS = ("case", "rows", "commit", "CPU s", "µs/row", "of base", "peak MiB", "scratch MiB")


def main() -> None:
    """Measure and print the table row by row."""
    parser = argparse.ArgumentParser(prog="bench.scale", description=__doc__)
    parser.add_argument("--rows", nargs="*", type=whole, default=[128_000, 2_000_000, 8_000_000])
    parser.add_argument("--partitions", type=whole, default=4_000, help="of the second table")
    parser.add_argument(
        "--full", action="store_true", help="48.7 M rows (today) and 40,000 partitions"
    )
    parser.add_argument("--base", help="the earlier commit; without it, today's alone")
    parser.add_argument("--hats", action="store_true", help="with a HATS collection, too (today)")
    parser.add_argument("--scratch", type=Path, help="folder for the runs: 200 bytes a row")
    options = parser.parse_args()
    head(*COLUMNS, "page CPU s")
    with checked_out(options.base) if options.base else nullcontext((None, None)) as (tree, python):
        for known in (1.0, 0.0):
            for rows in options.rows:
                base = aggregated(tree, python, rows, known, options.scratch) if tree else None
                if base:
                    show(options.base, known, base, base)
                here = aggregated(ROOT, Path(sys.executable), rows, known, options.scratch)
                show("today", known, here, base)
                if options.hats:
                    here = aggregated(
                        ROOT, Path(sys.executable), rows, known, options.scratch, "hats"
                    )
                    show("today, HATS", known, here, None)
            if options.full:
                words = ["hats"] * options.hats
                here = aggregated(ROOT, Path(sys.executable), FULL, known, options.scratch, *words)
                show("today, HATS" if words else "today", known, here, None)
        head(*INIT)
        size = FULL_PARTITIONS if options.full else options.partitions
        if tree:
            show_init(options.base, tree, python, size, 0, options.scratch)
        for indexed in (0, 1):
            show_init("today", ROOT, Path(sys.executable), size, indexed, options.scratch)


def head(*columns: str) -> None:
    """Begin a table."""
    print(f"| {' | '.join(columns)} |\n|{'---|' * len(columns)}", flush=True)


def whole(text: str) -> int:
    """A number of rows, such as 128k or 2M."""
    unit = UNITS.get(text[-1:], 1)
    return round(float(text.rstrip("kM")) * unit)


def aggregated(
    tree: Path, python: Path | None, rows: int, known: float, scratch: Path | None, *words: str
) -> dict[str, Any]:
    """Make a run with the code of a tree, and aggregate it."""
    with TemporaryDirectory(dir=scratch) as folder:
        child(tree, python, CHILD, "build", folder, rows, ROWS_PER_RANK, known)
        found: dict[str, Any] = json.loads(child(tree, python, CHILD, "aggregate", folder, *words))
        return found


def show_init(
    commit: str,
    tree: Path,
    python: Path | None,
    partitions: int,
    indexed: int,
    scratch: Path | None,
) -> None:
    """One row of the second table."""
    with TemporaryDirectory(dir=scratch) as folder:
        child(tree, python, PLANNING, "build", folder, partitions, indexed)
        found = json.loads(child(tree, python, PLANNING, "plan", folder, partitions // PER_RANK))
    cells = (
        f"init, {'an' if indexed else 'no'} index",
        f"{found['partitions']:,}",
        f"{found['ranks']:,}",
        commit,
        f"{found['cpu_s']:.1f}",
        f"{found['peak_mib']:.0f}",
        f"{found['plan_kib']:.1f}",
        f"{found['rank_ms']:.1f}",
    )
    print(f"| {' | '.join(cells)} |", flush=True)


def child(tree: Path, python: Path | None, script: Path, *words: object) -> str:
    """What a script prints that runs in a tree."""
    command = [str(python), str(script), *map(str, words)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        command, cwd=tree, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"{tree}: {' '.join(command)} failed:\n{done.stderr[-2000:]}")
    return done.stdout


def show(commit: str, known: float, found: dict[str, Any], base: dict[str, Any] | None) -> None:
    """One row of the table."""
    each = found["cpu_s"] / found["rows"] * 1e6
    ratio = f"{found['cpu_s'] / base['cpu_s']:.2f}" if base else ""
    cells = (
        f"aggregate, {'all' if known else 'no'} z_spec",
        f"{found['rows']:,}",
        commit,
        f"{found['cpu_s']:.1f}",
        f"{each:.2f}",
        ratio,
        f"{found['peak_mib']:.0f}",
        f"{found['scratch_mib']:.0f}",
        f"{found['page_cpu_s']:.2f}",
    )
    print(f"| {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
