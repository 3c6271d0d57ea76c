"""`python -m bench.pipeline`: what the pipeline costs over the bare loop, and how it scales.

The bare loop: one process a core with one thread each, its rows in memory, its engine warm. The
pipeline: the local stack, its environments warm, from the manifest's upload to the final status.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from bench.pipeline.loop import BareLoops
from bench.pipeline.product import ROWS, Product, Timed, deployed
from bench.stream.inputs import TINY, fill

BATCH = 64


def main() -> int:
    """Measure what the arguments ask for."""
    options = _options()
    with TemporaryDirectory() as scratch:
        folder = Path(scratch)
        fill(folder, [], "safetensors")
        model = TINY if options.model == "tiny" else folder / "bench" / "full"
        largest = max(options.rows)
        with (
            deployed(folder, model, -(-largest // ROWS)) as product,
            BareLoops(model, folder / "part.safetensors", options.cores) as loops,
        ):
            for world_size in sorted({options.ranks, *options.worlds}):
                product.run(world_size * BATCH, world_size)
            if options.what in ("all", "rows"):
                print_rows(product, loops, options)
            if options.what in ("all", "ranks"):
                print_ranks(product, loops, options)
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench.pipeline", description=__doc__)
    parser.add_argument("what", nargs="?", choices=["all", "rows", "ranks"], default="all")
    parser.add_argument("--model", choices=["tiny", "full"], default="full")
    parser.add_argument("--cores", type=int, default=os.cpu_count())
    parser.add_argument("--ranks", type=int, default=8, help="world size of the tables by rows")
    parser.add_argument(
        "--rows", type=int, nargs="+", default=[512, 5120, 46_080], help="rows of a run"
    )
    parser.add_argument("--worlds", type=int, nargs="+", default=[1, 2, 4, 8])
    parser.add_argument("--ranks-rows", type=int, default=5120, help="rows of the ranks' table")
    parser.add_argument("--rounds", type=int, default=3, help="of short runs; the median counts")
    return parser.parse_args()


def _in_turn(
    product: Product, loops: BareLoops, rows: int, world_size: int, rounds: int
) -> tuple[float, float, Timed]:
    """The bare loops' wall and processor's time (medians), and the median run; in turn."""
    bare, runs = [], []
    for _ in range(rounds):
        bare.append(loops.run(rows))
        runs.append(product.run(rows, world_size))
    wall_s, busy_s = (median(times) for times in zip(*bare, strict=True))
    return wall_s, busy_s, sorted(runs, key=lambda run: run.wall_s)[len(runs) // 2]


def print_rows(product: Product, loops: BareLoops, options: argparse.Namespace) -> None:
    """Overhead by the number of rows, and where it went."""
    print(f"{options.ranks} ranks, {options.cores} bare loops, model {options.model}\n")
    print("| rows | bare s | pipeline s | overhead s | overhead | bare rows/s | pipeline rows/s |")
    print("|---" * 7 + "|")
    found = []
    for rows in options.rows:
        rounds = options.rounds if rows <= 6000 else 1
        bare, busy, run = _in_turn(product, loops, rows, options.ranks, rounds)
        found.append((rows, busy, run))
        print(
            f"| {rows} | {bare:.2f} | {run.wall_s:.2f} | {run.wall_s - bare:+.2f} "
            f"| {run.wall_s / bare - 1:+.1%} | {rows / bare:.0f} | {rows / run.wall_s:.0f} |",
            flush=True,
        )
    print("\n| rows | processor s: bare | functions | overhead | in the model | emulator |")
    print("|---" * 6 + "|")
    for rows, busy, run in found:
        model_s = sum(rank["compute_cpu_s"] for rank in run.metrics["ranks"])
        print(
            f"| {rows} | {busy:.2f} | {run.functions_s:.2f} | {run.functions_s / busy - 1:+.1%} "
            f"| {model_s:.2f} | {run.emulator_s:.2f} |"
        )
    print()
    names = found[0][2].stages
    print("| rows | " + " | ".join(f"{name} s" for name in names) + " |")
    print("|---" * (len(names) + 1) + "|")
    for rows, _, run in found:
        print(f"| {rows} | " + " | ".join(f"{s:.2f}" for s in run.stages.values()) + " |")
    print()


def print_ranks(product: Product, loops: BareLoops, options: argparse.Namespace) -> None:
    """The same rows by the number of ranks."""
    rows = options.ranks_rows
    print(
        "| ranks | rows | bare loops s | pipeline s | speed-up | rows/s | in the model, per rank |"
    )
    print("|---" * 7 + "|")
    (bare, _), alone = loops.run(rows), None
    for world_size in options.worlds:
        run = product.run(rows, world_size)
        wall = run.wall_s
        alone = alone or wall
        inside = run.metrics["run"]["rows_per_compute_s"]
        print(
            f"| {world_size} | {rows} | {bare:.2f} | {wall:.2f} | {alone / wall:.2f} "
            f"| {rows / wall:.0f} | {inside:.0f} |",
            flush=True,
        )


if __name__ == "__main__":
    sys.exit(main())
