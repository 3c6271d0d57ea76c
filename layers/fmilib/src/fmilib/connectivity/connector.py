"""How links come up: the lower rank dials, the higher one answers, on first use.

Runs in the control thread. Of a pair the lower rank always dials, so two ranks that want
each other at once still get one link. The higher rank, if it has something to send and the
lower may not be about to call, asks through the rendezvous to be dialled. How the lower one
gets through is a matter of path selection; the higher one does its part when it is told.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress

from fmilib.config import Settings
from fmilib.connectivity import hole_punching
from fmilib.connectivity.acceptor import Acceptor
from fmilib.connectivity.failure_detector import FailureDetector
from fmilib.connectivity.listener import Listener
from fmilib.connectivity.nat_probe import be_observed
from fmilib.connectivity.path_selection import (
    OWN_ADDRESS,
    RELAY_S,
    TROUBLE,
    AddressBook,
    PathHooks,
    PathSelector,
    Unreachable,
)
from fmilib.connectivity.ports import Address
from fmilib.connectivity.relay import connect_through_relay
from fmilib.errors import PeerFailed, RendezvousError
from fmilib.links.handshake import Identity
from fmilib.links.job_state import JobState
from fmilib.links.link import Link, LinkKeys
from fmilib.stats import Stats
from fmilib.wire.control_frames import Message, field

ASK_AFTER_S = 0.25
PAUSES_S = (0.02, 0.5)
SILENT_OF_DETECT = 0.75
Post = Callable[[Message], bool]


class Connector:
    """Makes and answers links for one rank.

    Args:
        settings: this rank's.
        state: where addresses come from and links go to.
        stats: given to the links.
        post: sends a control message; returns whether the rendezvous is connected.
        hello: what this rank says of itself to the rendezvous.

    Attributes:
        listener: the port for links, from which the rendezvous is called.
        watch: asks neighbours for signs of life.
    """

    def __init__(
        self, settings: Settings, state: JobState, stats: Stats, post: Post, hello: Message
    ) -> None:
        self._settings = settings
        self._state = state
        self._stats = stats
        self._post = post
        self._hello = hello
        self._addresses = AddressBook()
        hooks = PathHooks(self._identity, state.addresses.get, post, self._relay, state.trace)
        self._paths = PathSelector(self._addresses, hooks)
        self.watch = FailureDetector(
            state, self._addresses, self._identity, settings.detect_s, self._lost
        )
        self._acceptor = Acceptor(state, self._identity, self._install, self._paths.knocked)
        self.listener = Listener(settings, self._addresses, self._arrived)
        self._wanted: dict[int, asyncio.Task[None]] = {}
        self._invited: dict[tuple[str, int], asyncio.Task[None]] = {}

    def welcome(self, message: Message) -> None:
        """Take in how the rendezvous sees this rank; ask again for what is still wanted."""
        seen = message.get("seen")
        self._addresses.public = _address(seen) if seen else None
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
        elif kind == "observe":
            self._be_observed(field(message, "port", int))
        elif kind == "gone":
            rank = field(message, "rank", int)
            self._state.update(lambda: self._state.departed.add(rank))

    def begin(self, peer: int, *, now: bool) -> None:
        """Start to get a link to `peer`, unless there is one or it is under way."""
        if self._state.link(peer) or peer in self._wanted or self._state.failed:
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
            for link in self._state.links():
                if link.silent_ms() > bound_ms:
                    self._lost(link.peer, f"its link was silent for {bound_ms / 1000:.1f} s")

    async def close(self) -> None:
        """End all that is under way and give the port back."""
        tasks = [*self._wanted.values(), *self._invited.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._acceptor.close()
        await self.listener.close()

    # -- the lower rank's part --------------------------------------------------

    async def _dial(self, peer: int) -> None:
        """Try the paths until the link is up; in vain for long, and the peer counts as failed."""
        began, pause_s, seen = time.monotonic(), PAUSES_S[0], "no address for it"
        while not (self._state.failed or peer in self._state.departed):
            try:
                if peer in self._state.addresses:
                    self._install(*await self._paths.select(peer))
                    return
            except Unreachable as unreachable:
                seen = str(unreachable)
            self._post({"t": "want", "rank": peer})
            if time.monotonic() - began > self._settings.detect_s * SILENT_OF_DETECT:
                self._state.trace("peer.unreachable", peer=peer, tried=seen)
                self._lost(peer, seen)
                return
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, PAUSES_S[1])

    async def _relay(self, peer: int) -> socket.socket:
        ask = {"rank": peer, "epoch": self._state.epoch or 0}
        return await connect_through_relay(
            self.listener.rendezvous, self._hello, self._settings.secret, ask
        )

    # -- the higher rank's part -------------------------------------------------

    async def _be_dialled(self, peer: int, *, now: bool) -> None:
        """Wait for the lower rank; ask for it if it isn't coming by itself."""
        if not now:
            await asyncio.sleep(ASK_AFTER_S)
        pause_s = ASK_AFTER_S
        while not (self._state.link(peer) or self._state.failed or peer in self._state.departed):
            self._post({"t": "want", "rank": peer})
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, self._settings.detect_s / 4)

    def _punch(self, message: Message) -> None:
        """Meet a rank now, as the rendezvous says to both."""
        rank, raw = field(message, "rank", int), message.get("peer")
        remote = _address(raw) if raw else None
        wait_s = min(float(field(message, "wait_s", float)), hole_punching.MAX_WAIT_S)
        local = self._addresses.local
        if self._paths.invited(rank, remote, wait_s) or remote is None or local is None:
            return
        if rank < self._settings.rank:
            for_s = min(float(field(message, "for_s", float)), max(hole_punching.ROUNDS_S))
            self._invite("punch", rank, self._be_met(rank, local, remote, wait_s, for_s))

    def _invite(self, kind: str, peer: int, work: Coroutine[None, None, None]) -> None:
        """Begin to meet a rank instead of an earlier try; one that got through goes on."""
        earlier = self._invited.pop((kind, peer), None)
        if earlier is not None:
            earlier.cancel()
        task = asyncio.create_task(work)
        self._invited[kind, peer] = task
        task.add_done_callback(lambda done: self._forget(kind, peer, done))

    def _forget(self, kind: str, peer: int, done: asyncio.Task[None]) -> None:
        if self._invited.get((kind, peer)) is done:
            del self._invited[kind, peer]

    def _be_observed(self, port: int) -> None:
        local, rendezvous = self._addresses.local, self.listener.rendezvous
        if local is not None and 0 < port < 65536:
            observer, secret = (rendezvous[0], port), self._settings.secret
            work = be_observed(local, observer, self._hello, secret)
            self._invite("observe", self._settings.rank, work)

    async def _be_met(
        self, peer: int, local: Address, remote: Address, wait_s: float, for_s: float
    ) -> None:
        await asyncio.sleep(wait_s)
        try:
            sock = await hole_punching.meet(local, remote, for_s)
        except TimeoutError:
            return
        self._acceptor.admit(sock, "punched", peer)

    async def _be_relayed(self, peer: int) -> None:
        try:
            async with asyncio.timeout(RELAY_S):
                sock = await self._relay(peer)
        except TROUBLE:
            return
        self._acceptor.admit(sock, "relayed")

    def _arrived(self, sock: socket.socket) -> None:
        self._acceptor.admit(sock, self.listener.own_way())

    # -- both ------------------------------------------------------------------

    def _identity(self) -> Identity:
        settings = self._settings
        return Identity(
            settings.job, settings.secret, self._state.epoch or 0, settings.rank, settings.size,
            settings.integrity == "full", settings.encrypt,
        )  # fmt: skip

    def _install(self, peer: int, sock: socket.socket, keys: LinkKeys, way: str) -> None:
        link = Link(
            sock,
            peer,
            self._state.epoch or 0,
            keys,
            timeout_s=self._settings.timeout_s,
            detect_s=self._settings.detect_s,
            stats=self._stats,
        )
        if self._state.add(link):
            self._stats.links += 1
            self._stats.ways = {**self._stats.ways, peer: way}
            self._state.trace("link.established", peer=peer, path=way)
            if way in OWN_ADDRESS and _far_host(sock) == self._host_of(peer):
                self.watch.vouch(peer)

    def _host_of(self, peer: int) -> str:
        return self._state.addresses.get(peer, ("", 0))[0]

    def _learn(self, entry: object) -> int:
        """Take in a rank's own address, and where it is seen if that is elsewhere."""
        if not isinstance(entry, list) or len(entry) not in (3, 5) or type(entry[0]) is not int:
            raise RendezvousError("a peer's entry that can't be read")
        rank = entry[0]
        self._state.addresses[rank] = _address(entry[1:3])
        if len(entry) == 5:
            self._addresses.seen[rank] = _address(entry[3:])
        else:
            self._addresses.seen.pop(rank, None)
        return rank

    def _lost(self, peer: int, cause: str) -> None:
        if self._state.bear(peer, cause, told=False):
            return
        failed = PeerFailed(peer, cause)
        if self._state.fail(failed):
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
