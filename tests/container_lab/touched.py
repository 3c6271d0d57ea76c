"""What a start reads of the image: run in a container, prints bytes read and bytes there.

Modules count with their compiled files, libraries with those of their pages that are in memory.
Run as `python3 touched.py CHECKPOINT`.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path("/var/task")
sys.path[:0] = [str(ROOT), "/var/runtime"]


def start(checkpoint: Path) -> None:
    """Import the handler and make the engine ready, as a rank's first invocation does."""
    import app  # type: ignore[import-not-found]  # noqa: F401

    from cosmic.model.checkpoint import load_checkpoint
    from cosmic.model.engine import Engine

    Engine(load_checkpoint(checkpoint), 1, batch_size=64).warm_up()


def compiled_bytes() -> int:
    """Size of the compiled files of all modules that were imported from the image."""
    named = {getattr(module, "__cached__", None) for module in list(sys.modules.values())}
    paths = [Path(name) for name in named if name]
    return sum(p.stat().st_size for p in paths if p.is_relative_to(ROOT) and p.is_file())


def mapped_bytes() -> int:
    """Pages in memory of all files of the image that are mapped."""
    found, ours = 0, False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        if re.match(r"[0-9a-f]+-[0-9a-f]+ ", line):
            ours = f" {ROOT}/" in line
        elif ours and line.startswith("Rss:"):
            found += int(line.split()[1]) * 1024
    return found


def main() -> None:
    """Start, and print what that took."""
    there = sum(p.stat().st_size for p in ROOT.rglob("*") if p.is_file())
    start(Path(sys.argv[1]))
    print(compiled_bytes() + mapped_bytes(), there)


main()
