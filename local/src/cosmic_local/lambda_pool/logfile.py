"""The log of one execution environment: the process's own output and Lambda's lines."""

from __future__ import annotations

import os
from pathlib import Path

TAIL_BYTES = 4096


class LogFile:
    """A file that a process and the stack append to.

    Attributes:
        path: The file.
        fd: Its descriptor, for the process.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self.fd = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)

    def write(self, text: str) -> None:
        """Add text."""
        os.write(self.fd, text.encode())

    def size(self) -> int:
        """Bytes so far."""
        return os.fstat(self.fd).st_size

    def tail(self, since: int) -> bytes:
        """The last 4 KiB after a position."""
        size = self.size()
        start = max(since, size - TAIL_BYTES)
        return os.pread(self.fd, size - start, start)

    def close(self) -> None:
        """Write no more."""
        os.close(self.fd)
