"""What the functions logged of a run, from the stack's folder."""

from __future__ import annotations

from collections import deque
from pathlib import Path

MOST_BYTES = 1 << 20


def logs_of(folder: Path, run: str) -> bytes:
    """The last lines that name a run, by file, oldest environment first; `MOST_BYTES` at most."""
    kept: deque[bytes] = deque()
    size, wanted = 0, run.encode()
    for path in sorted(folder.glob("logs/*/*.log"), key=lambda p: p.name):
        with path.open("rb") as lines:
            for line in lines:
                if wanted in line:
                    kept.append(path.parent.name.encode() + b": " + line[:MOST_BYTES])
                    size += len(kept[-1])
                while size > MOST_BYTES and kept:
                    size -= len(kept.popleft())
    return b"".join(kept)
