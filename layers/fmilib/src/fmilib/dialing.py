"""How links come up: the lower rank dials, the higher one answers, on first use.

Runs in the control thread. Of a pair the lower rank always dials, so two ranks that want
each other at once still get one link. The higher rank, if it has something to send and the
lower may not be about to call, asks through the rendezvous to be dialled.
"""

from __future__ import annotations

import asyncio
import errno
import socket
import time
from collections.abc import Callable

from fmilib import link_handshake
from fmilib.board import Address, Board
from fmilib.config import Settings
from fmilib.control_frames import Message, field
from fmilib.errors import AuthError, FmiError, PeerFailed, RendezvousError
from fmilib.link import Link, LinkKeys
from fmilib.link_handshake import Identity
from fmilib.stats import Stats

PROVE_S = 5.0
MAX_UNPROVEN = 64
ASK_AFTER_S = 0.25
PAUSES_S = (0.02, 0.5)
LISTEN_BACKLOG = 256
SILENT_OF_DETECT = 0.75
Post = Callable[[Message], bool]
_ANY_ADDRESS = ("0.0.0.0", "::")  # noqa: S104 - what a user may have bound
_NO_ROOM = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}


class Dialler:
    """Makes and answers links for one rank.

    Args:
        settings: this rank's.
        board: where addresses come from and links go to.
        stats: given to the links.
        post: sends a control message; returns whether the rendezvous is connected.
    """

    def __init__(self, settings: Settings, board: Board, stats: Stats, post: Post) -> None:
        self._settings = settings
        self._board = board
        self._stats = stats
        self._post = post
        self._listener: socket.socket | None = None
        self._address: Address | None = None
        self._wanted: dict[int, asyncio.Task[None]] = {}
        self._unproven: dict[asyncio.Task[None], None] = {}
        self._accepting: asyncio.Task[None] | None = None

    def listen(self, local: str) -> Address:
        """Open the port for links, once; return the address to tell others.

        Args:
            local: the address from which the rendezvous is reached.

        Raises:
            RendezvousError: the address can't be bound.
        """
        if self._address is not None:
            return self._address
        host = self._settings.bind or local
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listener = socket.socket(family, socket.SOCK_STREAM)
        try:
            listener.setblocking(False)
            listener.bind((host, 0))
            listener.listen(LISTEN_BACKLOG)
        except OSError as error:
            listener.close()
            raise RendezvousError(f"can't listen on {host}: {error.strerror}") from error
        self._listener = listener
        reachable = local if host in _ANY_ADDRESS else host
        self._address = (self._settings.advertise or reachable, int(listener.getsockname()[1]))
        self._accepting = asyncio.create_task(self._accept_all(listener))
        return self._address

    def welcome(self) -> None:
        """Ask again for what is still wanted, after a new connection to the rendezvous."""
        for peer in self._wanted:
            self._post({"t": "want", "rank": peer})

    def handle(self, kind: str, message: Message) -> None:
        """Take in an address, a request to dial, or the news that a rank has left.

        Raises:
            RendezvousError: the message lacks something.
        """
        if kind == "peers":
            for entry in field(message, "peers", list):
                self._learn(*_peer_entry(entry))
        elif kind == "dial":
            rank = field(message, "rank", int)
            self._learn(rank, field(message, "host", str), field(message, "port", int))
            self.begin(rank, now=True)
        elif kind == "gone":
            rank = field(message, "rank", int)
            self._board.update(lambda: self._board.departed.add(rank))

    def begin(self, peer: int, *, now: bool) -> None:
        """Start to get a link to `peer`, unless there is one or it is under way."""
        if self._board.link(peer) or peer in self._wanted or self._board.failed:
            return
        way = self._dial(peer) if self._settings.rank < peer else self._be_dialled(peer, now=now)
        task = asyncio.create_task(way)
        self._wanted[peer] = task
        task.add_done_callback(lambda _: self._wanted.pop(peer, None))

    async def watch_links(self) -> None:
        """Notice a link whose data nobody acknowledges any more."""
        bound_ms = 1000 * SILENT_OF_DETECT * self._settings.detect_s
        while True:
            await asyncio.sleep(self._settings.detect_s / 8)
            for link in self._board.links():
                if link.silent_ms() > bound_ms:
                    self._lost(link.peer, f"its link was silent for {bound_ms / 1000:.1f} s")

    async def close(self) -> None:
        """End all that is under way and give the port back."""
        tasks = [*self._wanted.values(), *self._unproven]
        if self._accepting is not None:
            tasks.append(self._accepting)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._listener is not None:
            self._listener.close()

    # -- dialling --------------------------------------------------------------

    async def _dial(self, peer: int) -> None:
        """Dial until the link is up; after `detect_s` in vain the peer counts as failed."""
        began, pause_s, seen = time.monotonic(), PAUSES_S[0], "no address for it"
        while not (self._board.failed or peer in self._board.departed):
            address = self._board.addresses.get(peer)
            if address is not None:
                try:
                    await self._dial_once(peer, address)
                    return
                except AuthError as error:
                    seen = str(error)
                except (OSError, TimeoutError) as error:
                    seen = f"can't be reached at {address[0]}:{address[1]}: {error or 'silence'}"
            self._post({"t": "want", "rank": peer})
            if time.monotonic() - began > self._settings.detect_s * SILENT_OF_DETECT:
                self._lost(peer, seen)
                return
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, PAUSES_S[1])

    async def _dial_once(self, peer: int, address: Address) -> None:
        family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        sock = socket.socket(family, socket.SOCK_STREAM)
        try:
            sock.setblocking(False)
            async with asyncio.timeout(PROVE_S):
                await asyncio.get_running_loop().sock_connect(sock, address)
                keys = await link_handshake.dial(sock, self._identity(), peer)
        except BaseException:
            sock.close()
            raise
        self._install(sock, peer, keys)

    async def _be_dialled(self, peer: int, *, now: bool) -> None:
        """Wait for the lower rank; ask for it if it isn't coming by itself."""
        if not now:
            await asyncio.sleep(ASK_AFTER_S)
        pause_s = ASK_AFTER_S
        while not (self._board.link(peer) or self._board.failed or peer in self._board.departed):
            self._post({"t": "want", "rank": peer})
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, self._settings.detect_s / 4)

    # -- answering -------------------------------------------------------------

    async def _accept_all(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                sock, _ = await loop.sock_accept(listener)
            except OSError as error:
                if error.errno in _NO_ROOM:
                    await asyncio.sleep(PAUSES_S[1])
                continue
            self._make_room()
            task = asyncio.create_task(self._answer(sock))
            self._unproven[task] = None
            task.add_done_callback(lambda done: self._unproven.pop(done, None))

    def _make_room(self) -> None:
        if len(self._unproven) >= MAX_UNPROVEN:
            oldest = next(iter(self._unproven))
            del self._unproven[oldest]
            oldest.cancel()

    async def _answer(self, sock: socket.socket) -> None:
        try:
            async with asyncio.timeout(PROVE_S):
                await self._formed()
                peer, keys = await link_handshake.accept(sock, self._identity())
        except (OSError, TimeoutError, FmiError):
            sock.close()
        except BaseException:
            sock.close()
            raise
        else:
            self._install(sock, peer, keys)

    async def _formed(self) -> None:
        """Wait for the epoch: another rank may hear of the forming first."""
        while self._board.epoch is None:
            await asyncio.sleep(PAUSES_S[0])

    # -- both ------------------------------------------------------------------

    def _identity(self) -> Identity:
        settings = self._settings
        epoch = self._board.epoch or 0
        full = settings.integrity == "full"
        return Identity(settings.job, settings.secret, epoch, settings.rank, settings.size, full)

    def _install(self, sock: socket.socket, peer: int, keys: LinkKeys) -> None:
        link = Link(
            sock,
            peer,
            self._board.epoch or 0,
            keys,
            full=self._settings.integrity == "full",
            timeout_s=self._settings.timeout_s,
            detect_s=self._settings.detect_s,
            stats=self._stats,
        )
        if self._board.add(link):
            self._stats.links += 1

    def _learn(self, rank: int, host: str, port: int) -> None:
        self._board.addresses[rank] = (host, port)

    def _lost(self, peer: int, cause: str) -> None:
        failed = PeerFailed(peer, cause)
        if self._board.fail(failed):
            self._post({"t": "verdict", "kind": "lost", "rank": peer, "words": cause})


def _peer_entry(entry: object) -> tuple[int, str, int]:
    if not isinstance(entry, list) or [type(part) for part in entry] != [int, str, int]:
        raise RendezvousError("a peer's entry that can't be read")
    return entry[0], entry[1], entry[2]
