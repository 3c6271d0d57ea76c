"""`python -m bench.earlier COMMIT MODULE [ARGUMENT…]`: a benchmark here and at an earlier commit.

Both run in turn, round by round, with the same interpreter and the same packages, the earlier one
in a work tree of its own that is removed at the end. Of every number in the tables that they
print, the least of all rounds counts (the greatest where the column is a rate).

    python -m bench.earlier 6916a24 bench.pipeline rows --rows 512 --model tiny
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import sysconfig
import unicodedata
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
LONGEST_S = 3600
SECONDS = {"ms": 1e-3, "μs": 1e-6}  # the micro sign as NFKC has it


class Cell(NamedTuple):
    """Where a number stands: table, row (the text of its first cells), column."""

    table: int
    row: str
    column: str


def main() -> int:
    """Run both and print every number that both have."""
    parser = argparse.ArgumentParser(prog="bench.earlier", description=__doc__)
    parser.add_argument("commit", help="what is compared with")
    parser.add_argument("module", help="such as bench.engine")
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help="of the module")
    parser.add_argument("--rounds", type=int, default=3, help="of both, in turn")
    options = parser.parse_args()
    words = [options.module, *options.arguments]
    earlier: dict[Cell, list[float]] = {}
    now: dict[Cell, list[float]] = {}
    with checked_out(options.commit) as (tree, python):
        for _ in range(options.rounds):
            collect(earlier, run(tree, python, words))
            collect(now, run(ROOT, Path(sys.executable), words))
    print(f"| row | column | {options.commit} | now | ratio |\n|---|---|---|---|---|")
    for cell in (c for c in now if c in earlier):
        best = max if "/s" in cell.column else min
        a, b = best(earlier[cell]), best(now[cell])
        ratio = f"{b / a:.3f}" if a else ""
        print(f"| {cell.row} | {cell.column} | {a:g} | {b:g} | {ratio} |")
    return 0


@contextmanager
def checked_out(commit: str) -> Iterator[tuple[Path, Path]]:
    """A work tree of a commit, and an interpreter that imports Cosmic from it."""
    with work_tree(commit) as tree, TemporaryDirectory(prefix="cosmic-earlier-") as environment:
        venv.create(environment)
        purelib = sysconfig.get_path("purelib", vars={"base": environment})
        sources = sorted(str(path) for path in tree.glob("**/src") if path.is_dir())
        lines = [*sources, sysconfig.get_path("purelib")]  # of which no .pth file is read
        (Path(purelib) / "earlier.pth").write_text("\n".join(lines) + "\n")
        yield tree, Path(environment) / "bin/python"


@contextmanager
def work_tree(commit: str) -> Iterator[Path]:
    """A work tree of a commit, removed at the end."""
    with TemporaryDirectory(prefix="cosmic-earlier-") as folder:
        tree = Path(folder) / "tree"
        git("worktree", "add", "--quiet", "--detach", str(tree), commit)
        try:
            yield tree
        finally:
            git("worktree", "remove", "--force", str(tree))


def git(*words: str) -> None:
    """Run git in the project."""
    subprocess.run(["git", *words], cwd=ROOT, check=True)  # noqa: S607


def run(tree: Path, python: Path, words: list[str]) -> str:
    """What a benchmark prints."""
    command = [str(python), "-m", *words]
    done = subprocess.run(
        command, cwd=tree, capture_output=True, text=True, timeout=LONGEST_S, check=False
    )
    if done.returncode:
        raise SystemExit(f"{tree}: {' '.join(words)} failed:\n{done.stderr[-2000:]}")
    return done.stdout


def collect(found: dict[Cell, list[float]], text: str) -> None:
    """Add every number in the Markdown tables of a text."""
    head: list[str] = []
    table = -1
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if not line.startswith("|"):
            head = []
        elif not head:
            head, table = cells, table + 1
        elif not set(line) <= set("|-: "):
            for column, value in list(zip(head, cells, strict=False))[1:]:
                number = number_in(value)
                if number is not None:
                    cell = Cell(table, row_of(head, cells), column)
                    found.setdefault(cell, []).append(number)


def row_of(head: list[str], cells: list[str]) -> str:
    """What names a row: its first cell, with the words that follow."""
    words = [cells[0], *(c for c in cells[1:3] if c and number_in(c) is None)]
    return f"{head[0]} {', '.join(words)}"


def number_in(text: str) -> float | None:
    """The number that a cell is; milliseconds and microseconds as seconds."""
    number, _, unit = unicodedata.normalize("NFKC", text).partition(" ")
    try:
        return float(number.rstrip("%x×").replace(",", "")) * SECONDS.get(unit, 1.0)
    except ValueError:
        return None


if __name__ == "__main__":
    sys.exit(main())
