"""`python -m bench.page [--base COMMIT]`: what making a run's page costs, and how long it is.

Documents are those of the tests' sample runs; the page is made as `aggregate` makes it, in a
process of its own, whose whole processor time counts. Of three rounds the least stands.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.earlier import ROOT, checked_out

RUNS = ((4, 4_000), (2_000, 1_000_000), (10_000, 50_000_000))
ROUNDS = 3
DOCUMENT = (
    "import sys; from pathlib import Path; from report_support.samples import sample; "
    "ranks, rows = map(int, sys.argv[1:3]); "
    "Path(sys.argv[3]).write_text(sample(ranks, rows).model_dump_json(), encoding='utf-8')"
)


def main() -> int:
    """Print a row per run and commit."""
    parser = argparse.ArgumentParser(prog="bench.page", description=__doc__)
    parser.add_argument("--base", help="the earlier commit; without it, today's alone")
    base = parser.parse_args().base
    print("| ranks | objects | commit | CPU s | of base | bytes |\n|---|---|---|---|---|---|")
    if base is None:
        show("today", ROOT, Path(sys.executable), {})
        return 0
    with checked_out(base) as (tree, python):
        show("today", ROOT, Path(sys.executable), show(base, tree, python, {}))
    return 0


def show(commit: str, root: Path, python: Path, base: dict[int, float]) -> dict[int, float]:
    """Measure and print one commit; returns its processor time by number of ranks."""
    spent = {}
    for ranks, rows in RUNS:
        spent[ranks], size = measured(root, python, ranks, rows)
        ratio = f"{spent[ranks] / base[ranks]:.2f}" if base else ""
        cells = (f"{ranks:,}", f"{rows:,}", commit, f"{spent[ranks]:.2f}", ratio, f"{size:,}")
        print(f"| {' | '.join(cells)} |", flush=True)
    return spent


def measured(root: Path, python: Path, ranks: int, rows: int) -> tuple[float, int]:
    """Processor seconds and bytes of a run's page."""
    with TemporaryDirectory() as folder:
        document, page = Path(folder, "report.json"), Path(folder, "report.html")
        around = {"PYTHONPATH": str(root / "tests"), "MPLCONFIGDIR": folder}
        run([str(python), "-c", DOCUMENT, str(ranks), str(rows), str(document)], around)
        command = [str(python), "-m", "cosmic.report", str(document), str(page)]
        return min(run(command, around) for _ in range(ROUNDS)), page.stat().st_size


def run(command: list[str], around: dict[str, str]) -> float:
    """Run a program; returns its processor seconds."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, env={**os.environ, **around}, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


if __name__ == "__main__":
    sys.exit(main())
