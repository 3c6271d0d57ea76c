"""`python at_event.py EVENT PATTERN SIGNAL WORDS…`: `cosmic WORDS`, hit as an audit event comes.

The process sends itself the signal at the first event of that name whose arguments match: as a
file is opened, say. Nothing has to be waited for, and the moment is the same each time.
"""

from __future__ import annotations

import os
import re
import sys
from typing import Any

from cosmic_cli.main import run


class Trigger:
    """Sends the signal, once."""

    def __init__(self, event: str, pattern: str, number: int) -> None:
        self._event, self._pattern, self._number = event, re.compile(pattern), number
        self._sent = False

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Look at an event."""
        if self._sent or event != self._event:
            return
        if self._pattern.search(" ".join(map(str, arguments[:2]))):
            self._sent = True
            os.kill(os.getpid(), self._number)


if __name__ == "__main__":
    event, pattern, number, *words = sys.argv[1:]
    sys.addaudithook(Trigger(event, pattern, int(number)))
    sys.argv = ["cosmic", *words]
    run()
