"""`python -m bench.start.cold [--base COMMIT]`: a cold rank here and at an earlier commit.

All in turn, a process each round: it starts as the function does, gets the model from a server that
gives 75 MB/s or has it in its image, computes 64 rows, and writes its shard and record. *Processor*
is all of that; medians count.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path
from statistics import median

from bench.earlier import ROOT, checked_out

ONE = Path(__file__).with_name("one.py").read_text()
COLUMNS = {"cpu_s": "processor s", "age_s": "64 redshifts after s"}
PLACES = ("downloaded", "baked")

Found = dict[str, float]
Case = tuple[str, str]


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="bench.start.cold", description=__doc__)
    parser.add_argument("--base", help="the earlier commit; without it, today's alone")
    parser.add_argument("--model", choices=["tiny", "full"], default="full")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    with checked_out(options.base) if options.base else nullcontext(None) as earlier:
        trees = {options.base: earlier} if earlier else {}
        trees["today"] = (ROOT, Path(sys.executable))
        found: dict[Case, list[Found]] = {(name, at): [] for at in PLACES for name in trees}
        for _ in range(options.rounds):
            for (name, place), rounds in found.items():
                rounds.append(cold_rank(*trees[name], options.model, place))
    show(found)
    return 0


def cold_rank(tree: Path, python: Path, model: str, place: str) -> Found:
    """What one needs in a tree."""
    command = [str(python), "-c", ONE, model, place]
    done = subprocess.run(command, cwd=tree, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{tree}: {done.stderr[-2000:]}")
    made: Found = json.loads(done.stdout.splitlines()[-1])
    return made


def show(found: dict[Case, list[Found]]) -> None:
    """A row each; ratios are to the first."""
    heads = [head for name in COLUMNS.values() for head in (name, "ratio")]
    print(f"| commit | model | {' | '.join(heads)} |\n|{'---|' * (len(heads) + 2)}")
    rows = {
        case: {key: median(one[key] for one in rounds) for key in COLUMNS}
        for case, rounds in found.items()
    }
    first = next(iter(rows.values()))
    for (name, place), row in rows.items():
        cells = [f"{row[key]:.2f} | {row[key] / first[key]:.2f}" for key in COLUMNS]
        print(f"| {name} | {place} | {' | '.join(cells)} |")


if __name__ == "__main__":
    sys.exit(main())
