"""`python -m bench.install`: what `make demo` installs, here and at an earlier commit.

Each round makes the environment that the demo needs in an empty work tree of either commit, in
turn. The first round starts with empty caches, so it downloads; later rounds find the packages in
the caches that the first has filled. The commit here is HEAD: what isn't committed isn't seen.

    python -m bench.install --base 6916a24 --rounds 2
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.earlier import LONGEST_S, work_tree

MB = 10**6
VARIABLES = re.compile(r"\$\((\w+)\)")


def main() -> int:
    """Print seconds and megabytes of every round, and the ratios."""
    parser = argparse.ArgumentParser(prog="bench.install", description=__doc__)
    parser.add_argument("--base", default="6916a24", help="the earlier commit")
    parser.add_argument("--rounds", type=int, default=2, help="of both, in turn")
    options = parser.parse_args()
    print(f"| caches | {options.base} s | now s | ratio | {options.base} MB | now MB | ratio |")
    print("|---" * 7 + "|", flush=True)
    with TemporaryDirectory() as earlier, TemporaryDirectory() as now:
        for number in range(options.rounds):
            before_s, before_mb = installed(options.base, Path(earlier))
            now_s, now_mb = installed("HEAD", Path(now))
            times = f"{before_s:.0f} | {now_s:.0f} | {now_s / before_s:.2f}"
            sizes = f"{before_mb:.0f} | {now_mb:.0f} | {now_mb / before_mb:.2f}"
            print(f"| {'filled' if number else 'empty'} | {times} | {sizes} |", flush=True)
    return 0


def installed(commit: str, caches: Path) -> tuple[float, float]:
    """Return the seconds until the demo's environment at a commit is ready, and its megabytes."""
    with work_tree(commit) as tree:
        variables = {"PIP_CACHE_DIR": str(caches / "pip"), "UV_CACHE_DIR": str(caches / "uv")}
        began = time.monotonic()
        done = subprocess.run(
            ["make", environment_of_demo(tree)],  # noqa: S607
            cwd=tree, env={**os.environ, **variables},
            capture_output=True, text=True, timeout=LONGEST_S, check=False,
        )  # fmt: skip
        took_s = time.monotonic() - began
        if done.returncode:
            raise SystemExit(f"{commit}: make failed:\n{done.stderr[-2000:]}")
        return took_s, size_bytes(tree / ".venv") / MB


def environment_of_demo(tree: Path) -> str:
    """Return the Makefile's target that `make demo` waits for."""
    rules = (tree / "Makefile").read_text()
    values = dict(re.findall(r"^(\w+) :?= (.+)$", rules, re.MULTILINE))
    (target,) = re.findall(r"^demo: (\S+)", rules, re.MULTILINE)
    return VARIABLES.sub(lambda found: values[found[1]], target)


def size_bytes(folder: Path) -> int:
    """Return the bytes of a folder's files; what several names share counts once."""
    files = [path.lstat() for path in folder.rglob("*") if not path.is_dir()]
    return sum({file.st_ino: file.st_size for file in files}.values())


if __name__ == "__main__":
    sys.exit(main())
