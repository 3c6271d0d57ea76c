"""Connections that others begin: found out what each is for, proven, and served.

A new connection has a few seconds to prove itself, and the number of unproven ones is bounded.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

from fmilib.connectivity.path_selection import PROVE_S
from fmilib.errors import FmiError
from fmilib.links import handshake
from fmilib.links.handshake import Identity
from fmilib.links.job_state import JobState
from fmilib.links.link import LinkKeys

MAX_UNPROVEN = 64
_PAUSE_S = 0.02
Install = Callable[[int, socket.socket, LinkKeys, str], None]
Knocked = Callable[[int, socket.socket], None]


class Acceptor:
    """Answers for one rank.

    Args:
        state: tells when the job has formed.
        identity: returns what this rank proves.
        install: given each proven link: the peer, its socket and keys, and its way.
        knocked: given a connection on which a higher rank wants to be dialled.
    """

    def __init__(
        self, state: JobState, identity: Callable[[], Identity], install: Install, knocked: Knocked
    ) -> None:
        self._state = state
        self._identity = identity
        self._install = install
        self._knocked = knocked
        self._unproven: dict[asyncio.Task[None], None] = {}

    def admit(self, sock: socket.socket, way: str, knock_for: int | None = None) -> None:
        """Take a connection; the oldest unproven one goes if there are too many.

        Args:
            sock: the connection.
            way: how it came about.
            knock_for: the lower rank that must be asked to dial on it.
        """
        self._make_room()
        task = asyncio.create_task(self._answer(sock, way, knock_for))
        self._unproven[task] = None
        task.add_done_callback(lambda done: self._unproven.pop(done, None))

    async def close(self) -> None:
        """End all that is under way."""
        tasks = list(self._unproven)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _make_room(self) -> None:
        if len(self._unproven) >= MAX_UNPROVEN:
            oldest = next(iter(self._unproven))
            del self._unproven[oldest]
            oldest.cancel()

    async def _answer(self, sock: socket.socket, way: str, knock_for: int | None) -> None:
        """Find out what a connection is for, and do it, within a bound."""
        try:
            async with asyncio.timeout(PROVE_S):
                await self._formed()
                if knock_for is not None:
                    await handshake.knock(sock, self._identity(), knock_for)
                await self._serve(sock, way)
        except (OSError, TimeoutError, FmiError):
            sock.close()
        except BaseException:
            sock.close()
            raise

    async def _serve(self, sock: socket.socket, way: str) -> None:
        me = self._identity()
        magic = await handshake.exactly(sock, handshake.MAGIC_BYTES)
        if magic == handshake.KNOCK:
            self._knocked(await handshake.read_knock(sock, me), sock)
        elif magic == handshake.PROBE:
            await handshake.answer_probe(sock, me)
            sock.close()
        else:
            peer, keys = await handshake.accept(sock, me, magic)
            self._install(peer, sock, keys, way)

    async def _formed(self) -> None:
        """Wait for the epoch: another rank may hear of the forming first."""
        while self._state.epoch is None:
            await asyncio.sleep(_PAUSE_S)
