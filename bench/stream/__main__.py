"""`python -m bench.stream`: what a rank gains by reading ahead, and what it holds."""

from __future__ import annotations

import argparse
from itertools import product
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from bench.stream.inputs import fill
from bench.stream.stage import ROWS, run_cold, run_module, serving

FAST = 75.0  # MB/s: what one Lambda function gets of S3 (600 Mbit/s)
LATENCY_MS = 20.0


def main() -> None:
    """Measure what the arguments ask for."""
    options = _options()
    with TemporaryDirectory() as scratch:
        folder = Path(scratch)
        fill(folder, options.sizes, options.layout)
        if options.what == "overlap":
            print_overlap(folder, options)
        else:
            print_memory(folder, options)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench.stream", description=__doc__)
    parser.add_argument("what", choices=["overlap", "memory"])
    parser.add_argument("--model", choices=["tiny", "full"], default="full")
    parser.add_argument("--layout", choices=["safetensors", "pt"], default="safetensors")
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--threads", type=int, default=1, help="of the rank (memory)")
    parser.add_argument("--rates", type=float, nargs="+", default=[FAST], help="MB/s (overlap)")
    parser.add_argument("--sizes", type=int, nargs="+", choices=ROWS, help="MB of a partition")
    parser.add_argument(
        "--rounds", type=int, default=3, help="of which the median counts (overlap)"
    )
    options = parser.parse_args()
    options.sizes = options.sizes or ([25] if options.what == "overlap" else list(ROWS))
    return options


def print_overlap(folder: Path, options: argparse.Namespace) -> None:
    """Of the shorter of download and compute, how much is hidden behind the longer.

    By waiting: of what the download takes alone, what the model did not stand still for. By walls:
    what together takes less than one after the other; the machine's noise is in it three times.
    """
    print("| model | partition MB | rate MB/s | download s | compute s | overlapped s "
          "| waited for rows s | hidden by waiting | by walls |")  # fmt: skip
    print("|---" * 9 + "|")
    for size, rate in product(options.sizes, options.rates):
        with serving(folder, rate, LATENCY_MS) as environment:
            sizes = [str(options.batch_size), str(options.rounds)]
            words = [f"{size}.{options.layout}", options.model, *sizes]
            found = run_module("bench.stream.overlap", words, environment)
        down, work, both, wait = (
            median(found[name]) for name in ("download", "compute", "together", "wait")
        )
        by_waiting = (down - wait) / min(down, both - wait)
        by_walls = (down + work - both) / min(down, work)
        print(f"| {options.model} | {size} | {rate:g} | {down:.2f} | {work:.2f} | {both:.2f} "
              f"| {wait:.3f} | {by_waiting:.1%} | {by_walls:.1%} |", flush=True)  # fmt: skip


def print_memory(folder: Path, options: argparse.Namespace) -> None:
    """A rank's peak memory, in a fresh process for each partition size."""
    print(
        "| model | partition MB | rows | peak MiB | rows/s | download | waited for rows | compute |"
    )
    print("|---" * 8 + "|")
    for size in options.sizes:
        with serving(folder, FAST, LATENCY_MS, options.threads) as environment:
            key = f"{size}.{options.layout}"
            record = run_cold(key, options.model, options.batch_size, environment)
        shares = " | ".join(f"{share:.1%}" for share in record["shares"].values())
        print(f"| {options.model} | {size} | {record['rows']} | {record['peak_memory_mb']} "
              f"| {record['rows_per_s']:.0f} | {shares} |", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
