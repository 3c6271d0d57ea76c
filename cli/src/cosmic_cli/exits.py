"""Exit codes, and how errors reach a person: one line each, bugs apart from mistakes."""

from __future__ import annotations

from enum import IntEnum

from rich.console import Console

from cosmic.errors import CosmicError, InputError, InvalidInput
from cosmic.status import State, Status

out = Console()
err = Console(stderr=True)


class Exit(IntEnum):
    """What the process says when it ends."""

    DONE = 0
    FAILED = 1
    INVALID = 2
    PARTIAL = 3
    NOT_FOUND = 4
    INTERRUPTED = 130


NOT_FOUND_CODES = {"not-found", "no-bucket", "no-run", "no-stack"}
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


def report(error: CosmicError) -> Exit:
    """Print an error, a line for each problem, and give its code."""
    if isinstance(error, InvalidInput):
        for problem in error.problems:
            _line(problem.code, str(problem))
        return Exit.INVALID
    hint = f" ({error.hint})" if error.hint else ""
    _line(error.code, error.message + hint)
    if error.code in NOT_FOUND_CODES:
        return Exit.NOT_FOUND
    return Exit.INVALID if isinstance(error, InputError) else Exit.FAILED


def _line(code: str, text: str) -> None:
    err.print(f"[bold red]{code}:[/] ", end="", highlight=False)
    err.print(text, markup=False, highlight=False, soft_wrap=True)
