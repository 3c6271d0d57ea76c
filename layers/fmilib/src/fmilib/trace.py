"""What happens between ranks: told to a hook of the caller's, and to the log.

Both get the same events, named like httpcore's: what, a dot, and how it went. The log is quiet
unless the program configures `logging`, or `FMI_LOG` names a level (debug, info, warning, error).
No event carries a secret, a key or a payload.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping
from typing import Any

log = logging.getLogger("fmilib")
Hook = Callable[[str, Mapping[str, Any]], None]
LEVELS = {
    "rendezvous.lost": logging.INFO,
    "connect.failed": logging.WARNING,
    "fallback.taken": logging.WARNING,
    "job.formed": logging.INFO,
    "path.failed": logging.INFO,
    "link.established": logging.INFO,
    "peer.unreachable": logging.WARNING,
    "job.failed": logging.WARNING,
}
VARIABLE = "FMI_LOG"
FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


class Trace:
    """Tells of events on one rank.

    Args:
        job: the job's name.
        rank: this rank.
        hook: called with an event's name and its facts, in whatever thread it happens: it must
            return at once. What it raises is logged, for the threads behind it must go on.
    """

    def __init__(self, job: str = "", rank: int = 0, hook: Hook | None = None) -> None:
        self._job = job
        self._rank = rank
        self._hook = hook

    def __call__(self, event: str, **facts: Any) -> None:
        """Tell of an event."""
        level = LEVELS.get(event, logging.DEBUG)
        if log.isEnabledFor(level):
            words = " ".join(f"{name}={value}" for name, value in facts.items())
            log.log(level, "rank %d of job %s: %s %s", self._rank, self._job, event, words)
        if self._hook is not None:
            self._tell(self._hook, event, facts)

    def _tell(self, hook: Hook, event: str, facts: Mapping[str, Any]) -> None:
        try:
            hook(event, facts)
        except Exception:
            log.exception("the trace hook raised at %s", event)


def log_as_asked(environment: Mapping[str, str] | None = None) -> None:
    """Log to stderr if `FMI_LOG` names a level; once, however often it is called.

    Raises:
        ValueError: it names no level.
    """
    told = (os.environ if environment is None else environment).get(VARIABLE, "")
    if not told or any(handler.get_name() == VARIABLE for handler in log.handlers):
        return
    level = logging.getLevelNamesMapping().get(told.upper())
    if level is None:
        raise ValueError(f"{VARIABLE} must be debug, info, warning or error, got {told!r}")
    handler = logging.StreamHandler()
    handler.set_name(VARIABLE)
    handler.setFormatter(logging.Formatter(FORMAT))
    log.addHandler(handler)
    log.setLevel(level)
