"""Run a command that is interrupted at an event, and see that it ends as it should."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).with_name("at_event.py")


def interrupted_at(
    event: str, pattern: str, number: signal.Signals, *words: str, place: Path
) -> str:
    """Run `cosmic WORDS` in a folder; it ends with 130, one last line and no temporary files.

    Args:
        event: Name of the audit event at which it gets the signal.
        pattern: What the event's first two arguments have to match, such as a path and a mode.
        number: The signal.
        words: The command.
        place: Where it runs.

    Returns:
        What it said on stderr.
    """
    temporary = place / f"tmp-{words[0]}"
    temporary.mkdir()
    done = subprocess.run(
        [sys.executable, str(SCRIPT), event, pattern, str(int(number)), *words],
        cwd=place,
        env={"PATH": "/usr/bin", "TMPDIR": str(temporary), "HOME": str(place / "home")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 130, (done.stdout, done.stderr)
    assert done.stderr.splitlines()[-1].startswith("interrupted: "), done.stderr
    assert "Traceback" not in done.stderr
    assert list(temporary.iterdir()) == []
    temporary.rmdir()
    return done.stderr
