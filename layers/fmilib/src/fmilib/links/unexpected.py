"""Frames that came while this rank was in another call, kept until they are asked for."""

from __future__ import annotations

from collections import deque

from fmilib.wire.frames import Head, queue_of

Queue = tuple[int, int]


class UnexpectedQueue:
    """Whole frames by queue, and the one whose payload is still coming in.

    True if there is anything in it.

    Attributes:
        half: header, payload and bytes of it that are there, of the frame that is coming in.
    """

    def __init__(self) -> None:
        self._queues: dict[Queue, deque[tuple[Head, bytearray]]] = {}
        self.half: tuple[Head, bytearray, int] | None = None

    def __bool__(self) -> bool:
        return bool(self._queues) or self.half is not None

    def keep(self, head: Head, body: bytearray) -> None:
        """Keep one whole frame."""
        self._queues.setdefault(queue_of(head.stamp), deque()).append((head, body))

    def next(self, queue: Queue) -> tuple[Head, bytearray] | None:
        """Return and forget the first frame of a queue; None if none is kept."""
        kept = self._queues.get(queue)
        if kept is None:
            return None
        found = kept.popleft()
        if not kept:
            del self._queues[queue]
        return found

    def has_message(self, queue: Queue) -> bool:
        """Return whether the first message of a queue is here with all its frames."""
        kept = self._queues.get(queue)
        if kept is None:
            return False
        missing = kept[0][0].total
        for head, _ in kept:
            missing -= head.length
            if missing <= 0:
                return True
        return False
