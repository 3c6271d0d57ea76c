"""Non-blocking messages: what was begun, and its end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class Request:
    """A message that was begun by `isend` or `irecv`.

    There is no thread behind it: large messages move inside `wait`. Every wait is bounded by
    the job's time-out.
    """

    def __init__(self, finish: Callable[[], Any] | None = None) -> None:
        self._finish = finish
        self._value: Any = None

    @property
    def done(self) -> bool:
        """Whether it is over."""
        return self._finish is None

    def wait(self) -> Any:
        """Return what was received, None for a send, once it is over.

        Raises:
            FmiError: the job failed.
        """
        if self._finish is not None:
            self.settle(self._finish())
        return self._value

    def settle(self, value: Any = None) -> None:
        """Note that it is over, and what came."""
        self._finish, self._value = None, value
