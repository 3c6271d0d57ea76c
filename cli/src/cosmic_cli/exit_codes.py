"""Exit codes, and how errors reach a person or a program: bugs apart from mistakes.

Errors go to stderr: one line each, `code: what (hint)`, or one JSON object with `--json`. Standard
output then stays empty.
"""

from __future__ import annotations

import json
import platform
import sys
import tempfile
import traceback
from enum import IntEnum
from importlib.metadata import version
from pathlib import Path
from typing import Any

from cosmic.contracts.status import State, Status
from cosmic.errors import CosmicError, InputError, InvalidInput
from cosmic_cli.printable import TURNING, PrintableConsole

ESCAPED = {
    number: f"\\u{number:04x}" for number in (*range(0x7F, 0xA0), *sorted(map(ord, TURNING)))
}
out = PrintableConsole()
err = PrintableConsole(stderr=True)


class Exit(IntEnum):
    """What the process says when it ends."""

    DONE = 0
    FAILED = 1
    INVALID = 2
    PARTIAL = 3
    NOT_FOUND = 4
    BUG = 70
    INTERRUPTED = 130


class Interrupted(CosmicError):  # noqa: N818
    """Somebody pressed Ctrl-C while a run went on."""

    code = "interrupted"


NOT_FOUND_CODES = {"not-found", "no-bucket", "no-run", "no-stack", "no-report", "no-execution"}
OF_STATE = {
    State.SUCCEEDED: Exit.DONE,
    State.PARTIAL: Exit.PARTIAL,
    State.REJECTED: Exit.INVALID,
    State.FAILED: Exit.FAILED,
    State.RUNNING: Exit.DONE,
}


def of_status(status: Status) -> Exit:
    """The code for a run in this state."""
    return OF_STATE[status.state]


def of_error(error: CosmicError) -> Exit:
    """The code for an error."""
    if isinstance(error, Interrupted):
        return Exit.INTERRUPTED
    if error.code in NOT_FOUND_CODES:
        return Exit.NOT_FOUND
    return Exit.INVALID if isinstance(error, InputError) else Exit.FAILED


def report(error: CosmicError, *, as_json: bool = False) -> Exit:
    """Show an error, a line for each problem, and give its code."""
    code = of_error(error)
    if as_json:
        problems = error.problems if isinstance(error, InvalidInput) else []
        more = {"problems": [p.as_dict() for p in problems]} if problems else {}
        _document(code, code=error.code, message=error.message, hint=error.hint, **more)
    elif isinstance(error, InvalidInput):
        for problem in error.problems:
            _line(problem.code, str(problem))
    else:
        _line(error.code, error.message + (f" ({error.hint})" if error.hint else ""))
    return code


def report_bug(error: Exception, *, as_json: bool = False) -> Exit:
    """Say that this is our mistake, and where the trace is that a report should have."""
    trace = _write_trace(error)
    summary = f"{type(error).__name__}: {error}".strip()
    message = (
        f"{summary}. This is a bug in cosmic, not a mistake on your side. Please report it with "
        f"the file {trace}, which has the trace, the versions and the command line; check it "
        "first, because it may name your files and buckets."
    )
    if as_json:
        _document(Exit.BUG, code="bug", message=message, hint="", trace=str(trace))
    else:
        _line("bug", message)
    return Exit.BUG


def _write_trace(error: Exception) -> Path:
    with tempfile.NamedTemporaryFile(
        "w", prefix="cosmic-bug-", suffix=".txt", delete=False, encoding="utf-8"
    ) as file:
        file.write(f"command: {sys.argv}\n")
        file.write(f"python: {sys.version}\nsystem: {platform.platform()}\n")
        file.write("".join(f"{name}: {version(name)}\n" for name in ("cosmic-cli", "cosmic")))
        file.write("".join(traceback.format_exception(error)))
        return Path(file.name)


def show_json(document: Any) -> None:
    """Print one JSON document, alone on standard output.

    JSON escapes the control characters of ASCII; those of Unicode are escaped here.
    """
    text = json.dumps(document, indent=1, ensure_ascii=False)
    sys.stdout.write(text.translate(ESCAPED) + "\n")


def _document(exit_code: Exit, **facts: Any) -> None:
    sys.stderr.write(json.dumps({"error": {**facts, "exit": int(exit_code)}}) + "\n")


def _line(code: str, text: str) -> None:
    err.print(f"[bold red]{code}:[/] ", end="", highlight=False)
    err.print(text, markup=False, highlight=False, soft_wrap=True)
