"""Ranks as greenlets of one thread that hand messages to each other in memory.

Everything above the channel is the library's own: communicators, codec, algorithms. There are
no frames and no sockets, so a rank's call costs some 15 µs where threads took 40; what frames and
sockets do has tests of its own. Ranks that wait for each other for ever are found at once.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable
from typing import Any

import numpy as np
from greenlet import getcurrent, greenlet

from fmilib.api.communicator import Communicator
from fmilib.api.engine import Engine
from fmilib.channels.base import BufferedChannel
from fmilib.config import settings
from fmilib.errors import MismatchError
from fmilib.links.job_state import JobState
from fmilib.links.link import Buffer
from fmilib.links.transfer import SEGMENT_BYTES, Arrived
from fmilib.stats import Stats
from fmilib.wire.frames import NO_DIGEST, Envelope, Head, Kind, describe

Body = Callable[[Communicator], Any]
Way = tuple[int, int, tuple[int, int]]  # source, dest, queue of calls


class Hall:
    """Where messages lie, and whose turn it is.

    Args:
        seed: the order in which ranks that can go on do so; None for first come, first served.
    """

    def __init__(self, seed: int | None = None) -> None:
        self._lanes: dict[Way, deque[tuple[Head, memoryview]]] = {}
        self._waiting: dict[Way, greenlet] = {}
        self._ready: deque[greenlet] = deque()
        self._random = None if seed is None else random.Random(seed)  # noqa: S311 - an order, no secret
        self._hub = getcurrent()

    def put(self, way: Way, head: Head, piece: memoryview) -> None:
        """Put one piece of a message down."""
        self._lanes.setdefault(way, deque()).append((head, piece))
        waiter = self._waiting.pop(way, None)
        if waiter is not None:
            self._ready.append(waiter)

    def has(self, way: Way) -> bool:
        """Return whether a piece lies there."""
        return bool(self._lanes.get(way))

    def take(self, way: Way) -> tuple[Head, memoryview]:
        """Take the next piece; until it is there other ranks go on."""
        lane = self._lanes.setdefault(way, deque())
        while not lane:
            self._waiting[way] = getcurrent()
            self._hub.switch()
        return lane.popleft()

    def run(self, size: int, body: Body) -> list[Any]:
        """Run `body(comm)` on all ranks; return what each returned, in rank order.

        Raises:
            Exception: what the first rank that failed raised.
        """
        found: list[Any] = [None] * size

        def live(rank: int) -> None:
            with self._join(rank, size) as comm:
                found[rank] = body(comm)

        ranks = [greenlet(live) for _ in range(size)]
        for rank, one in enumerate(ranks):
            one.switch(rank)
        while self._ready:
            self._next().switch()
        stuck = [rank for rank, one in enumerate(ranks) if not one.dead]
        assert not stuck, f"ranks {stuck} wait for ever, at {list(self._waiting)}"
        left = [way for way, lane in self._lanes.items() if lane]
        assert not left, f"nobody took what lies at {left}"
        return found

    def _next(self) -> greenlet:
        if self._random is not None:
            self._ready.rotate(self._random.randrange(len(self._ready)))
        return self._ready.popleft()

    def _join(self, rank: int, size: int) -> Communicator:
        given = {"rank": rank, "size": size, "job": "hall", "secret": bytes(32)}
        found = settings({**given, "rendezvous": "127.0.0.1:1"}, {})
        engine = Engine(found, Seat(self, rank, size), JobState(rank), None, Stats(), 0.0)
        return Communicator(engine)


class Seat(BufferedChannel):
    """One rank's channel; see `Channel`."""

    def __init__(self, hall: Hall, rank: int, size: int) -> None:
        super().__init__(rank, size)
        self._hall = hall

    def send(self, peer: int, call: Envelope, parts: list[Buffer]) -> None:
        """Put down a copy, in as many pieces as a link would make; see `Channel`."""
        payload = memoryview(bytearray().join(parts))
        for start in range(0, len(payload) or 1, SEGMENT_BYTES):
            self._put(peer, call, payload[start : start + SEGMENT_BYTES], len(payload))

    def relay(self, peer: int, call: Envelope, part: memoryview, total: int) -> None:
        """Put down a copy of one piece; see `Channel`."""
        self._put(peer, call, memoryview(bytearray(part)), total)

    def receive(
        self,
        peer: int,
        call: Envelope,
        into: memoryview | None = None,
        arrived: Arrived | None = None,
    ) -> memoryview:
        """Take one message, piece by piece; see `Channel`."""
        way, offset = (peer, self.rank, call.queue), 0
        while True:
            head, piece = self._hall.take(way)
            self._check(peer, call, head, into)
            if into is None:  # what came in one piece is used where it lies
                into = piece if head.length == head.total else np.empty(head.total, np.uint8).data
            end = offset + head.length
            if piece and into is not piece:  # a barrier's room can't be written
                into[offset:end] = piece
            if arrived is not None:
                arrived(offset, into[offset:end], head)
            offset = end
            if offset == head.total:
                return into

    def arrived(self, call: Envelope, peers: list[int] | None) -> int | None:
        """Return a rank whose message lies there; see `Channel`."""
        among = range(self.size) if peers is None else peers
        return next((one for one in among if self._hall.has((one, self.rank, call.queue))), None)

    def _put(self, peer: int, call: Envelope, piece: memoryview, total: int) -> None:
        head = Head(Kind.DATA, call.stamp, len(piece), total, NO_DIGEST)
        self._hall.put((self.rank, peer, call.queue), head, piece)

    def _check(self, peer: int, call: Envelope, head: Head, into: memoryview | None) -> None:
        if head.stamp != call.stamp:
            theirs, mine = describe(head.stamp), describe(call.stamp)
            raise MismatchError(f"rank {peer} called {theirs}, rank {self.rank} called {mine}")
        if into is not None and head.total != len(into):
            raise MismatchError(f"rank {peer} sends {head.total} bytes, not {len(into)}")


def together(size: int, body: Body, seed: int | None = None) -> list[Any]:
    """Run `body(comm)` on so many ranks; return what each returned, in rank order.

    Raises:
        Exception: what the first rank that failed raised.
    """
    return Hall(seed).run(size, body)
