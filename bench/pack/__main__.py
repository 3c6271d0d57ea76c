"""`python -m bench.pack`: how fast `cosmic data pack` reads files, and in how much memory.

Each file is packed by a process of its own, in turn with the same at an earlier commit whose work
tree is named; packages are the same. Files and partitions are in a folder that is removed.

    git worktree add ../before 6916a24 && python -m bench.pack --beside ../before
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import time
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import NamedTuple

from bench.pack.inputs import write

ROOT = Path(__file__).parents[2]
PROGRAM = "from cosmic_cli.main import run; run()"
FORMATS = ("fits", "h5", "parquet")


class Packed(NamedTuple):
    """What a process needed."""

    wall_s: float
    processor_s: float
    peak_mib: float


def main() -> int:
    """Make files, pack them, print the table."""
    parser = argparse.ArgumentParser(prog="bench.pack", description=__doc__)
    parser.add_argument("--objects", type=int, nargs="+", default=[5_000, 50_000])
    parser.add_argument("--rounds", type=int, default=3, help="the median counts")
    parser.add_argument("--beside", type=Path, help="work tree of an earlier commit")
    options = parser.parse_args()
    trees = {"here": ROOT, **({"before": options.beside.resolve()} if options.beside else {})}
    print("| file | objects | tree | wall s | processor s | objects/s | MB/s | peak MiB |")
    print("|---|---|---|---|---|---|---|---|")
    for objects in options.objects:
        for ending in FORMATS:
            with TemporaryDirectory() as scratch:
                file = Path(scratch) / f"objects.{ending}"
                written_apart(file, objects)
                show(file, objects, measured(file, trees, options.rounds))
    return 0


def measured(file: Path, trees: dict[str, Path], rounds: int) -> dict[str, list[Packed]]:
    """Each tree's processes, in turn."""
    found: dict[str, list[Packed]] = {name: [] for name in trees}
    for number in range(rounds):
        for name in list(trees)[:: 1 if number % 2 else -1]:
            found[name].append(packed(file, trees[name]))
    return found


def show(file: Path, objects: int, found: dict[str, list[Packed]]) -> None:
    """A row a tree."""
    for name, runs in found.items():
        wall_s = median(run.wall_s for run in runs)
        print(
            f"| {file.suffix[1:]} | {objects:,} | {name} | {wall_s:.2f} "
            f"| {median(run.processor_s for run in runs):.2f} | {objects / wall_s:,.0f} "
            f"| {file.stat().st_size / wall_s / 1e6:.0f} "
            f"| {max(run.peak_mib for run in runs):.0f} |",
            flush=True,
        )


def packed(file: Path, tree: Path) -> Packed:
    """One process that packs a file."""
    out = file.parent / "packed"
    sources = (*tree.glob("layers/*/src"), *tree.glob("*/src"))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, sources))}
    words = ["data", "pack", str(file), "--out", str(out), "--json"]
    began = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *words],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    _, status, usage = os.wait4(process.pid, 0)
    wall_s = time.monotonic() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, f"{tree}: packing {file.name} failed"
    shutil.rmtree(out)
    return Packed(wall_s, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def written_apart(file: Path, objects: int) -> None:
    """By a process of its own: a process starts with the peak of the one that started it."""
    writer = get_context("spawn").Process(target=write, args=(file, objects))
    writer.start()
    writer.join()
    assert writer.exitcode == 0, f"{file.name} was not written"


if __name__ == "__main__":
    sys.exit(main())
