"""How links come up: the lower rank dials, the higher one answers, on first use.

Runs in the control thread. Of a pair the lower rank always dials, so two ranks that want
each other at once still get one link. The higher rank, if it has something to send and the
lower may not be about to call, asks through the rendezvous to be dialled. How the lower one
gets through is the ladder's matter; the higher one does its part when it is told.
"""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import socket
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress

from fmilib import link_handshake, ports, punching
from fmilib.board import Board
from fmilib.config import Settings
from fmilib.control_frames import Message, field
from fmilib.errors import FmiError, PeerFailed, RendezvousError
from fmilib.ladder import OWN_ADDRESS, PROVE_S, RELAY_S, TROUBLE, Atlas, Ladder, Means, Unreachable
from fmilib.link import Link, LinkKeys
from fmilib.link_handshake import Identity
from fmilib.liveness import Watch
from fmilib.ports import Address
from fmilib.relaying import through
from fmilib.stats import Stats

MAX_UNPROVEN = 64
ASK_AFTER_S = 0.25
PAUSES_S = (0.02, 0.5)
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
        hello: what this rank says of itself to the rendezvous.

    Attributes:
        watch: asks neighbours for signs of life.
    """

    def __init__(
        self, settings: Settings, board: Board, stats: Stats, post: Post, hello: Message
    ) -> None:
        self._settings = settings
        self._board = board
        self._stats = stats
        self._post = post
        self._hello = hello
        self._rendezvous: Address = (settings.host, settings.port)
        self._told: Address | None = None
        self._atlas = Atlas()
        self._ladder = Ladder(
            self._atlas, Means(self._identity, board.addresses.get, post, self._relay)
        )
        self.watch = Watch(board, self._atlas, self._identity, settings.detect_s, self._lost)
        self._listener: socket.socket | None = None
        self._wanted: dict[int, asyncio.Task[None]] = {}
        self._invited: dict[tuple[str, int], asyncio.Task[None]] = {}
        self._unproven: dict[asyncio.Task[None], None] = {}
        self._accepting: asyncio.Task[None] | None = None

    async def reach(self) -> socket.socket:
        """Return a connection to the rendezvous, from the port for links if that can be.

        Raises:
            OSError: it can't be reached.
            RendezvousError: the port for links can't be opened.
        """
        trouble: OSError = ConnectionError("the rendezvous has no address")
        for remote in await _resolved(self._settings.host, self._settings.port):
            try:
                route = ports.route_from(remote)
                local = self._listen(route)
                sock = await ports.call_from((route, local[1]), remote)
            except OSError as error:
                trouble = error
                continue
            self._rendezvous = remote
            return sock
        raise trouble

    def registration(self, local: Address) -> Message:
        """Return where others find this rank; `local` is this end of the control connection."""
        settings, mine = self._settings, self._atlas.local or local
        host = local[0] if mine[0] in _ANY_ADDRESS else mine[0]
        self._told = settings.advertise or host, mine[1]
        return {"host": self._told[0], "port": mine[1], "own_port": local[1] == mine[1]}

    def _listen(self, route: str) -> Address:
        """Open the port for links, once."""
        if self._atlas.local is not None:
            return self._atlas.local
        host = self._settings.bind or route
        try:
            self._listener = ports.listener(host)
        except OSError as error:
            raise RendezvousError(f"can't listen on {host}: {error.strerror}") from error
        self._atlas.local = (host, int(self._listener.getsockname()[1]))
        self._accepting = asyncio.create_task(self._accept_all(self._listener))
        return self._atlas.local

    def welcome(self, message: Message) -> None:
        """Take in how the rendezvous sees this rank; ask again for what is still wanted."""
        seen = message.get("seen")
        self._atlas.public = _address(seen) if seen else None
        for peer in self._wanted:
            self._post({"t": "want", "rank": peer})

    def handle(self, kind: str, message: Message) -> None:
        """Take in an address, a request to dial, or the news that a rank has left.

        Raises:
            RendezvousError: the message lacks something.
        """
        if kind == "peers":
            for entry in field(message, "peers", list):
                self._learn(entry)
        elif kind == "dial":
            self.begin(self._learn(field(message, "peer", list)), now=True)
        elif kind == "punch":
            self._punch(message)
        elif kind == "relay":
            rank = field(message, "rank", int)
            self._invite("relay", rank, self._be_relayed(rank))
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
        tasks = [*self._wanted.values(), *self._invited.values(), *self._unproven]
        if self._accepting is not None:
            tasks.append(self._accepting)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._listener is not None:
            self._listener.close()

    # -- the lower rank's part --------------------------------------------------

    async def _dial(self, peer: int) -> None:
        """Climb until the link is up; in vain for long, and the peer counts as failed."""
        began, pause_s, seen = time.monotonic(), PAUSES_S[0], "no address for it"
        while not (self._board.failed or peer in self._board.departed):
            try:
                if peer in self._board.addresses:
                    self._install(*await self._ladder.climb(peer))
                    return
            except Unreachable as unreachable:
                seen = str(unreachable)
            self._post({"t": "want", "rank": peer})
            if time.monotonic() - began > self._settings.detect_s * SILENT_OF_DETECT:
                self._lost(peer, seen)
                return
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, PAUSES_S[1])

    async def _relay(self, peer: int) -> socket.socket:
        ask = {"rank": peer, "epoch": self._board.epoch or 0}
        return await through(self._rendezvous, self._hello, self._settings.secret, ask)

    # -- the higher rank's part -------------------------------------------------

    async def _be_dialled(self, peer: int, *, now: bool) -> None:
        """Wait for the lower rank; ask for it if it isn't coming by itself."""
        if not now:
            await asyncio.sleep(ASK_AFTER_S)
        pause_s = ASK_AFTER_S
        while not (self._board.link(peer) or self._board.failed or peer in self._board.departed):
            self._post({"t": "want", "rank": peer})
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, self._settings.detect_s / 4)

    def _punch(self, message: Message) -> None:
        """Meet a rank now, as the rendezvous says to both."""
        rank, raw = field(message, "rank", int), message.get("peer")
        remote = _address(raw) if raw else None
        wait_s = min(float(field(message, "wait_s", float)), punching.MAX_WAIT_S)
        local = self._atlas.local
        if self._ladder.invited(rank, remote, wait_s) or remote is None or local is None:
            return
        if rank < self._settings.rank:
            for_s = min(float(field(message, "for_s", float)), max(punching.ROUNDS_S))
            self._invite("punch", rank, self._be_met(rank, local, remote, wait_s, for_s))

    def _invite(self, kind: str, peer: int, work: Coroutine[None, None, None]) -> None:
        earlier = self._invited.pop((kind, peer), None)
        if earlier is not None:
            earlier.cancel()
        task = asyncio.create_task(work)
        self._invited[kind, peer] = task
        task.add_done_callback(lambda done: self._forget(kind, peer, done))

    def _forget(self, kind: str, peer: int, done: asyncio.Task[None]) -> None:
        if self._invited.get((kind, peer)) is done:
            del self._invited[kind, peer]

    async def _be_met(
        self, peer: int, local: Address, remote: Address, wait_s: float, for_s: float
    ) -> None:
        await asyncio.sleep(wait_s)
        try:
            sock = await punching.meet(local, remote, for_s)
        except TimeoutError:
            return
        await self._answer(sock, "punched", peer)

    async def _be_relayed(self, peer: int) -> None:
        try:
            async with asyncio.timeout(RELAY_S):
                sock = await self._relay(peer)
        except TROUBLE:
            return
        await self._answer(sock, "relayed")

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
            task = asyncio.create_task(self._answer(sock, self._own_way()))
            self._unproven[task] = None
            task.add_done_callback(lambda done: self._unproven.pop(done, None))

    def _make_room(self) -> None:
        if len(self._unproven) >= MAX_UNPROVEN:
            oldest = next(iter(self._unproven))
            del self._unproven[oldest]
            oldest.cancel()

    async def _answer(self, sock: socket.socket, way: str, knock_for: int | None = None) -> None:
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
            self._ladder.knocked(await link_handshake.read_knock(sock, me), sock)
        elif magic == link_handshake.PROBE:
            await link_handshake.answer_probe(sock, me)
            sock.close()
        else:
            peer, keys = await link_handshake.accept(sock, me, magic)
            self._install(peer, sock, keys, way)

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

    def _install(self, peer: int, sock: socket.socket, keys: LinkKeys, way: str) -> None:
        link = Link(
            sock,
            peer,
            self._board.epoch or 0,
            keys,
            timeout_s=self._settings.timeout_s,
            detect_s=self._settings.detect_s,
            stats=self._stats,
        )
        if self._board.add(link):
            self._stats.links += 1
            self._stats.ways = {**self._stats.ways, peer: way}
            if way in OWN_ADDRESS and _far_host(sock) == self._host_of(peer):
                self.watch.vouch(peer)

    def _own_way(self) -> str:
        """Return how a link came about that was dialled at this rank's own address."""
        public = self._atlas.public
        return "private" if public and public != self._told else "direct"

    def _host_of(self, peer: int) -> str:
        return self._board.addresses.get(peer, ("", 0))[0]

    def _learn(self, entry: object) -> int:
        """Take in a rank's own address, and where it is seen if that is elsewhere."""
        if not isinstance(entry, list) or len(entry) not in (3, 5) or type(entry[0]) is not int:
            raise RendezvousError("a peer's entry that can't be read")
        rank = entry[0]
        self._board.addresses[rank] = _address(entry[1:3])
        if len(entry) == 5:
            self._atlas.seen[rank] = _address(entry[3:])
        else:
            self._atlas.seen.pop(rank, None)
        return rank

    def _lost(self, peer: int, cause: str) -> None:
        failed = PeerFailed(peer, cause)
        if self._board.fail(failed):
            self._post({"t": "verdict", "kind": "lost", "rank": peer, "words": cause})


def _far_host(sock: socket.socket) -> str | None:
    """Return the address at the other end, if there still is one."""
    with suppress(OSError):
        return str(sock.getpeername()[0])
    return None


def _address(entry: object) -> Address:
    if not isinstance(entry, list) or [type(part) for part in entry] != [str, int]:
        raise RendezvousError("an address that can't be read")
    return entry[0], entry[1]


async def _resolved(host: str, port: int) -> list[Address]:
    with suppress(ValueError):
        return [(str(ipaddress.ip_address(host)), port)]
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [(str(sockaddr[0]), int(sockaddr[1])) for *_, sockaddr in found]
