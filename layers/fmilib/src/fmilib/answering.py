"""Connections that others begin: found out what each is for, proven, and served.

Whoever comes has a few seconds to prove itself, and only so many may be about it at once.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

from fmilib import link_handshake
from fmilib.board import Board
from fmilib.errors import FmiError
from fmilib.ladder import PROVE_S
from fmilib.link import LinkKeys
from fmilib.link_handshake import Identity

MAX_UNPROVEN = 64
_PAUSE_S = 0.02
Install = Callable[[int, socket.socket, LinkKeys, str], None]
Knocked = Callable[[int, socket.socket], None]


class Answerer:
    """Answers for one rank.

    Args:
        board: tells when the job has formed.
        identity: returns what this rank proves.
        install: given each proven link: the peer, its socket and keys, and its way.
        knocked: given a connection on which a higher rank wants to be dialled.
    """

    def __init__(
        self, board: Board, identity: Callable[[], Identity], install: Install, knocked: Knocked
    ) -> None:
        self._board = board
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
                    await link_handshake.knock(sock, self._identity(), knock_for)
                await self._serve(sock, way)
        except (OSError, TimeoutError, FmiError):
            sock.close()
        except BaseException:
            sock.close()
            raise

    async def _serve(self, sock: socket.socket, way: str) -> None:
        me = self._identity()
        magic = await link_handshake.exactly(sock, link_handshake.MAGIC_BYTES)
        if magic == link_handshake.KNOCK:
            self._knocked(await link_handshake.read_knock(sock, me), sock)
        elif magic == link_handshake.PROBE:
            await link_handshake.answer_probe(sock, me)
            sock.close()
        else:
            peer, keys = await link_handshake.accept(sock, me, magic)
            self._install(peer, sock, keys, way)

    async def _formed(self) -> None:
        """Wait for the epoch: another rank may hear of the forming first."""
        while self._board.epoch is None:
            await asyncio.sleep(_PAUSE_S)
