"""The first lines of `cosmic`: from here on, whatever is still to be imported, it ends clearly."""

from __future__ import annotations

import json
import sys

from cosmic.heap import bound_heap
from cosmic_cli.garbage import collect_seldom, end_without_collecting
from cosmic_cli.interrupts import MESSAGE, asked, take_over

INTERRUPTED = 130


def run() -> None:
    """Run the command; errors end it with one line and their exit code."""
    take_over()
    bound_heap()
    collect_seldom()
    as_json = "--json" in sys.argv
    try:
        from cosmic_cli.program import exit_code  # takes long, and may be interrupted

        code = exit_code(as_json=as_json)
    except BaseException:
        if not asked():
            raise
        code = _interrupted(as_json=as_json)
    end_without_collecting()
    sys.exit(code)


def _interrupted(*, as_json: bool) -> int:
    """Say so as `exit_codes.report` would, which may not have been imported yet."""
    facts = {"code": "interrupted", "message": MESSAGE, "hint": "", "exit": INTERRUPTED}
    line = json.dumps({"error": facts}) if as_json else f"interrupted: {MESSAGE}"
    sys.stderr.write(line + "\n")
    return INTERRUPTED
