"""Non-blocking messages: requests that were started, and their completion.

No thread works in the background: bytes move while the request's rank is in a call.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any


class Request:
    """A message that was started by `isend` or `irecv`.

    Args:
        test: moves what it can without blocking; returns whether `finish` would return at once.
        finish: blocks until the request is complete; returns what was received.
    """

    def __init__(self, test: Callable[[], bool], finish: Callable[[], Any]) -> None:
        self._test = test
        self._finish = finish
        self._value: Any = None
        self._over = False

    @property
    def done(self) -> bool:
        """Whether it is known to be complete; moves nothing."""
        return self._over

    def test(self) -> bool:
        """Move what can be moved without blocking; return whether the request is complete.

        Raises:
            FmiError: the job failed.
        """
        if not self._over and self._test():
            self.wait()
        return self._over

    def wait(self) -> Any:
        """Return what was received, or None for a send, once the request is complete.

        Every wait is bounded by the job's time-out.

        Raises:
            FmiError: the job failed.
        """
        if not self._over:
            self._value = self._finish()
            self._over = True
        return self._value


class PostedReceives:
    """Receives that were started and aren't complete, by source and tag, in their order."""

    def __init__(self) -> None:
        self._queues: dict[tuple[int, int], deque[Request]] = {}

    def receive(
        self, source: int, tag: int, test: Callable[[], bool], finish: Callable[[], Any]
    ) -> Request:
        """Start a receive after those of the same source and tag.

        Args:
            test: whether `finish` would return at once.
            finish: receives the next message of this source and tag.
        """
        queue = self._queues.setdefault((source, tag), deque())

        def test_in_turn() -> bool:
            while queue[0] is not request:
                if not queue[0].test():
                    return False
            return test()

        def finish_in_turn() -> Any:
            while queue[0] is not request:
                queue[0].wait()
            value = finish()
            queue.popleft()
            if not queue and self._queues.get((source, tag)) is queue:
                del self._queues[source, tag]  # tags that are used once leave nothing behind
            return value

        request = Request(test_in_turn, finish_in_turn)
        queue.append(request)
        return request

    def finish_all(self, source: int, tag: int) -> None:
        """Wait for all receives of a source and tag: what comes next is for a later receive."""
        if self._queues:
            for request in list(self._queues.get((source, tag), ())):
                request.wait()
