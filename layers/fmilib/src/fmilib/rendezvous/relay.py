"""Passing bytes between two ranks that reach each other in no other way.

The server sees only what any wire sees: frames that both ends sign. It bounds how much a job
may send through it, how long the first of a pair waits for the second, and it ends what
belongs to no job any more.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from dataclasses import dataclass, field

from fmilib.rendezvous.members import Job, Refused
from fmilib.wire.disconnect import cut

MEET_S = 5.0
BUFFER_BYTES = 1 << 20
SILENCE_MS = 60_000
Pair = tuple[int, int]


@dataclass(eq=False, slots=True)
class Side:
    """One end of a relayed connection.

    Attributes:
        rank: who is there.
        transport: its connection.
        start: tells it that the other is there.
        gone: whether it hung up before that.
        said_all: it will send no more.
        ended: set once its connection is gone.
    """

    rank: int
    transport: asyncio.Transport
    start: Callable[[], None]
    gone: Callable[[], bool]
    said_all: bool = False
    ended: asyncio.Event = field(default_factory=asyncio.Event)


class Pipe(asyncio.Protocol):
    """Takes bytes from one side and hands them to the other, at the other's pace."""

    def __init__(self, side: Side, other: Side, count: Callable[[int, int], bool]) -> None:
        self._side = side
        self._other = other
        self._count = count

    def data_received(self, data: bytes) -> None:
        """Pass bytes on, unless the job's limit is reached."""
        if self._count(self._side.rank, len(data)):
            self._other.transport.write(data)
        else:
            cut(self._side.transport)

    def eof_received(self) -> bool:
        """Pass on that this side has said all it will; keep the way back open until it has too."""
        self._side.said_all = True
        if not self._other.transport.is_closing():
            self._other.transport.write_eof()
        if self._other.said_all:
            self._other.transport.close()
        return not self._other.said_all

    def pause_writing(self) -> None:
        """Read no more from the other side while this one is slow."""
        if not self._other.transport.is_closing():
            self._other.transport.pause_reading()

    def resume_writing(self) -> None:
        """Read on from the other side."""
        if not self._other.transport.is_closing():
            self._other.transport.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        """End the other side too, after what is on its way to it."""
        self._side.ended.set()
        self._other.transport.close()


class Relays:
    """All relayed connections of a server.

    Args:
        cap_bytes: most bytes that one job may send through; 0 for no relay.
        over: called with a job and the rank whose bytes were too many.
    """

    def __init__(self, cap_bytes: int, over: Callable[[Job, int, str], None]) -> None:
        self._cap_bytes = cap_bytes
        self._over = over
        self._waiting: dict[tuple[Job, Pair], tuple[Side, asyncio.Future[None]]] = {}
        self._open: dict[Side, Job] = {}
        self.passed_bytes = 0

    @property
    def count(self) -> int:
        """How many pairs of ranks talk through this server."""
        return len(self._open) // 2

    async def join(self, job: Job, side: Side, peer: int, call: Callable[[], None]) -> None:
        """Connect a side to its peer's and stay until it has ended; `call` brings the peer.

        Raises:
            Refused: there is no relay, or the peer didn't come.
        """
        if not self._cap_bytes:
            raise Refused("rendezvous", "this rendezvous relays nothing")
        key = job, (min(side.rank, peer), max(side.rank, peer))
        first = self._waiting.pop(key, None)
        if first is not None and first[0].rank == peer and not first[0].gone():
            self._splice(job, first[0], side)
            first[1].set_result(None)
        else:
            await self._wait(key, side, call)
        await side.ended.wait()

    def end_orphans(self, alive: Callable[[Job], bool]) -> None:
        """End the connections of jobs that are no more."""
        for side, job in list(self._open.items()):
            if side.ended.is_set() or not alive(job):
                del self._open[side]
                cut(side.transport)

    async def _wait(self, key: tuple[Job, Pair], side: Side, call: Callable[[], None]) -> None:
        met: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting[key] = side, met
        call()
        try:
            async with asyncio.timeout(MEET_S):
                await met
        except TimeoutError:
            raise Refused("rendezvous", f"nobody came to the relay in {MEET_S:.0f} s") from None
        finally:
            if self._waiting.get(key) == (side, met):
                del self._waiting[key]

    def _splice(self, job: Job, first: Side, second: Side) -> None:
        """Tell both, and from then on pass everything on; in one step, so no byte is lost."""
        for side, other in ((first, second), (second, first)):
            side.start()
            _prepare(side.transport)
            side.transport.set_protocol(
                Pipe(side, other, lambda rank, length: self._allow(job, rank, length))
            )
            self._open[side] = job

    def _allow(self, job: Job, rank: int, length: int) -> bool:
        job.relayed_bytes += length
        self.passed_bytes += length
        if job.relayed_bytes <= self._cap_bytes:
            return True
        self._over(job, rank, f"the relay's limit of {self._cap_bytes} bytes a job is reached")
        return False


def _prepare(transport: asyncio.Transport) -> None:
    transport.set_write_buffer_limits(high=BUFFER_BYTES)
    sock = transport.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, SILENCE_MS // 4000)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, SILENCE_MS)
