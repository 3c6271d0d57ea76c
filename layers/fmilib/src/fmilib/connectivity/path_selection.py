"""The ways to a higher rank, tried from the best to the last; each one is bounded.

1. its own address, which also serves two ranks behind one public address;
2. simultaneous open between the public ports of both, called together by the rendezvous;
3. through the rendezvous, which passes bytes on up to its limit.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from fmilib.connectivity import hole_punching, ports
from fmilib.connectivity.ports import Address
from fmilib.errors import AuthError, RendezvousError
from fmilib.links import handshake
from fmilib.links.handshake import Identity
from fmilib.links.link import LinkKeys
from fmilib.trace import Trace
from fmilib.wire.control_frames import Message

PROVE_S = 5.0
CALL_S = 1.5
FAR_S = 0.5
RELAY_S = 8.0
OWN_ADDRESS = ("direct", "private")
Way = tuple[int, socket.socket, LinkKeys, str]
TROUBLE = (AuthError, RendezvousError, OSError, TimeoutError)


class Unreachable(Exception):  # noqa: N818 - a signal between modules, never shown to users
    """No way led to the rank; the text says what each one met."""


@dataclass(slots=True)
class AddressBook:
    """What this rank knows of addresses.

    Attributes:
        local: where it listens, None until it does.
        public: where the rendezvous sees it, None if that isn't known.
        seen: where the rendezvous sees others that sit behind an address translation.
    """

    local: Address | None = None
    public: Address | None = None
    seen: dict[int, Address] = field(default_factory=dict)

    def patience_s(self, peer: int) -> float:
        """Return how long a call to a rank's own address may take: little, if it hardly works."""
        seen = self.seen.get(peer)
        shared = seen is None or (self.public is not None and self.public[0] == seen[0])
        return CALL_S if shared else FAR_S


@dataclass(slots=True)
class PathHooks:
    """What path selection needs from its surroundings.

    Attributes:
        identity: returns what this rank proves.
        address: returns a rank's own address, if it is known.
        post: sends a control message; returns whether the rendezvous is connected.
        relay: connects to a rank through the rendezvous.
        trace: told of the paths that are tried.
    """

    identity: Callable[[], Identity]
    address: Callable[[int], Address | None]
    post: Callable[[Message], bool]
    relay: Callable[[int], Awaitable[socket.socket]]
    trace: Trace


class PathSelector:
    """Finds a way to one higher rank after the other.

    Args:
        addresses: addresses.
        means: surroundings.
    """

    def __init__(self, addresses: AddressBook, means: PathHooks) -> None:
        self._addresses = addresses
        self._hooks = means
        self._invited: dict[int, asyncio.Future[tuple[Address | None, float]]] = {}
        self._knocked: dict[int, asyncio.Future[socket.socket]] = {}

    async def select(self, peer: int) -> Way:
        """Return a connection to a rank, both sides proven, and how it came about.

        Raises:
            Unreachable: no way led there.
        """
        met = []
        for name, step in (
            ("direct", self._directly),
            ("punched", self._punched),
            ("relayed", self._relayed),
        ):
            self._hooks.trace("path.started", peer=peer, path=name)
            try:
                return await step(peer)
            except TROUBLE as error:
                met.append(f"{name}: {error or 'silence'}")
                self._hooks.trace("path.failed", peer=peer, path=name, cause=error or "silence")
        raise Unreachable("can't be reached; " + "; ".join(met))

    def invited(self, peer: int, remote: Address | None, wait_s: float) -> bool:
        """Take in the rendezvous's call to meet a rank now; return whether this side waits."""
        future = self._invited.pop(peer, None)
        if future is None or future.done():
            return False
        future.set_result((remote, wait_s))
        return True

    def knocked(self, peer: int, sock: socket.socket) -> None:
        """Take in a connection that a higher rank opened, if it is wanted just now."""
        future = self._knocked.get(peer)
        if future is None or future.done():
            sock.close()
        else:
            future.set_result(sock)

    # -- the steps -------------------------------------------------------------

    async def _directly(self, peer: int) -> Way:
        remote = self._hooks.address(peer)
        if remote is None:
            raise RendezvousError("no address for it")
        hidden, patience_s = peer in self._addresses.seen, self._addresses.patience_s(peer)
        async with asyncio.timeout(patience_s):
            sock = await ports.call(remote)
        async with asyncio.timeout(patience_s if hidden else PROVE_S):
            return await self._prove(sock, peer, "private" if hidden else "direct")

    async def _punched(self, peer: int) -> Way:
        local = self._addresses.local
        if local is None or self._addresses.public is None:
            raise RendezvousError("the public port isn't known")
        knock = self._knocked[peer] = asyncio.get_running_loop().create_future()
        sock = None
        try:
            for round_s in hole_punching.ROUNDS_S:
                sock = await self._one_round(peer, local, round_s, knock)
                if sock is not None:
                    async with asyncio.timeout(PROVE_S):
                        return await self._prove(sock, peer, "punched")
        finally:
            del self._knocked[peer]
            if not knock.cancel() and knock.result() is not sock:
                knock.result().close()
        raise TimeoutError(f"not met in {len(hole_punching.ROUNDS_S)} rounds")

    async def _one_round(
        self, peer: int, local: Address, round_s: float, knock: asyncio.Future[socket.socket]
    ) -> socket.socket | None:
        """Call while the peer calls; return the first connection, whichever side opened it."""
        remote, wait_s = await self._invitation(peer, round_s)
        await asyncio.sleep(wait_s)
        calling = asyncio.create_task(hole_punching.meet(local, remote, round_s))
        try:
            await asyncio.wait({calling, knock}, return_when=asyncio.FIRST_COMPLETED)
        except BaseException:
            calling.add_done_callback(_close_result)
            calling.cancel()
            raise
        calling.cancel()
        (called,) = await asyncio.gather(calling, return_exceptions=True)
        if isinstance(called, socket.socket):
            return called
        return knock.result() if knock.done() else None

    async def _invitation(self, peer: int, round_s: float) -> tuple[Address, float]:
        future = self._invited[peer] = asyncio.get_running_loop().create_future()
        try:
            if not self._hooks.post({"t": "punch", "rank": peer, "for_s": round_s}):
                raise RendezvousError("no rendezvous to call us together")
            async with asyncio.timeout(hole_punching.ASK_S):
                remote, wait_s = await future
        finally:
            self._invited.pop(peer, None)
        if remote is None:
            raise RendezvousError("its or this one's public port isn't known, or shifts")
        return remote, wait_s

    async def _relayed(self, peer: int) -> Way:
        async with asyncio.timeout(RELAY_S):
            sock = await self._hooks.relay(peer)
            return await self._prove(sock, peer, "relayed")

    async def _prove(self, sock: socket.socket, peer: int, way: str) -> Way:
        self._hooks.trace("handshake.started", peer=peer, path=way)
        try:
            return peer, sock, await handshake.dial(sock, self._hooks.identity(), peer), way
        except BaseException:
            sock.close()
            raise


def _close_result(calling: asyncio.Task[socket.socket]) -> None:
    """Close what a call that nobody waits for any more brought."""
    if not calling.cancelled() and calling.exception() is None:
        calling.result().close()
