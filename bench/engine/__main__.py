"""`python -m bench.engine`: images a second of every variant, each in a process of its own."""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from bench.engine.inputs import write_inputs

VARIANTS = (
    "lambda-loop",
    "plain-loop",
    "torch",
    "torch-folded",
    "onnxruntime",
    "openvino",
    "openvino-bf16",
)
DROP_CACHES = Path("/proc/sys/vm/drop_caches")
BASE, START_BASE = "plain-loop", "torch-folded"


def main() -> int:
    """Measure what the arguments ask for and print one table."""
    parser = argparse.ArgumentParser(prog="bench.engine", description=__doc__)
    parser.add_argument("--preset", default="full")
    parser.add_argument("--rows", type=int, default=1278, help="objects of a 25 MB partition")
    parser.add_argument("--rounds", type=int, default=3, help="processes a variant, in turn")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument(
        "--cold", action="store_true", help="empty the page cache before each process (Linux, root)"
    )
    options = parser.parse_args()
    if options.cold and not os.access(DROP_CACHES, os.W_OK):
        parser.error(f"--cold writes {DROP_CACHES}, which only root may")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_inputs(folder, options.preset, options.rows)
        print("| threads | variant | images/s | ratio | of float32 peak | peak memory | "
              "first 64 after | of torch-folded | deviation |")  # fmt: skip
        print("|---" * 9 + "|")
        for threads in options.threads:
            peak = _child(folder, "peak", threads)["flops"]
            _table(_in_turn(folder, threads, options.rounds, options.cold), threads, peak)
    return 0


def _in_turn(
    folder: Path, threads: int, rounds: int, cold: bool
) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in VARIANTS}
    for _ in range(rounds):
        for name in VARIANTS:
            if cold:
                os.sync()
                DROP_CACHES.write_text("3")
            found[name].append(_child(folder, name, threads))
    return found


def _child(folder: Path, variant: str, threads: int) -> dict[str, Any]:
    run = [sys.executable, "-m", "bench.engine.child", str(folder), variant, str(threads)]
    done = subprocess.run(run, check=True, capture_output=True, text=True, timeout=300)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def _table(found: dict[str, list[dict[str, Any]]], threads: int, peak: float) -> None:
    base = statistics.median(one["rate"] for one in found[BASE])
    start = statistics.median(one["first_s"] for one in found[START_BASE])
    for name, runs in found.items():
        if "refused" in runs[0]:
            print(f"| {threads} | {name} | {runs[0]['refused']} | | | | | | |")
            continue
        rate, first, memory = (
            statistics.median(one[key] for one in runs) for key in ("rate", "first_s", "mib")
        )
        of_peak = rate * runs[0]["flops_an_image"] / peak
        print(
            f"| {threads} | {name} | {rate:.0f} | {rate / base:.2f} | {of_peak:.0%} | "
            f"{memory:.0f} MiB | {first:.2f} s | {first / start:.2f} | "
            f"{max(one['deviation'] for one in runs):.1e} |",
            flush=True,
        )


if __name__ == "__main__":
    sys.exit(main())
