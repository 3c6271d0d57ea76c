"""Ctrl-C and SIGTERM, at any moment: both end the command as `KeyboardInterrupt` does.

Standard library only, for it comes before everything that takes long to import.
"""

from __future__ import annotations

import signal
from types import FrameType

MESSAGE = "stopped by you"
_asked = False


def take_over() -> None:
    """Let both signals raise `KeyboardInterrupt`, unless who started us lets them be ignored."""
    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _interrupt)


def asked() -> bool:
    """Whether somebody has asked the process to end.

    What is interrupted may raise something else: modules in C make an `ImportError` of it.
    """
    return _asked


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    global _asked  # noqa: PLW0603 - signals are the process's
    _asked = True
    raise KeyboardInterrupt
