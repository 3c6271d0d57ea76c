"""Non-blocking messages: what was begun, and its end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class Request:
    """A message that was begun by `isend` or `irecv`.

    Messages of one communicator move inside its calls, there being no thread behind them.
    Every wait is bounded by the job's time-out.
    """

    def __init__(self, finish: Callable[[Request], None]) -> None:
        self._finish = finish
        self._value: Any = None
        self.done = False

    def complete(self, value: Any = None) -> None:
        """Note that it is over, and what came."""
        self._value = value
        self.done = True

    def wait(self) -> Any:
        """Return what was received, None for a send, once it is over.

        Raises:
            FmiError: the job failed.
        """
        if not self.done:
            self._finish(self)
        return self._value


def wait_all(requests: list[Request]) -> list[Any]:
    """Wait for all of them; return what each brought.

    Raises:
        FmiError: the job failed.
    """
    return [request.wait() for request in requests]
