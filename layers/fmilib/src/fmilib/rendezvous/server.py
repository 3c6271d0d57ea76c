"""The rendezvous server: accepts, authenticates, and feeds the registry.

Everything a stranger can hold is bounded: how many connections are unproven at once, for how
long, and how many bytes they may send. When there are too many, the oldest unproven one goes.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from fmilib.config import MAX_JOB_BYTES
from fmilib.errors import AuthError, RendezvousError
from fmilib.rendezvous import health, pairing, side_requests, streams
from fmilib.rendezvous.limits import Limits
from fmilib.rendezvous.members import Claim, Job, Member, Refused
from fmilib.rendezvous.registration import read_claim
from fmilib.rendezvous.registry import Registry
from fmilib.rendezvous.relay import Relays
from fmilib.wire import failure, keys
from fmilib.wire.control_frames import Courier, Message, field
from fmilib.wire.control_handshake import admit
from fmilib.wire.disconnect import cut, let_go
from fmilib.wire.failure import FailureReport

log = logging.getLogger(__name__)
SWEEP_S = 0.1
LISTEN_BACKLOG = 4096
_GONE = (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, TimeoutError)


class Server:
    """One rendezvous.

    Args:
        deployment_secret: from which each job's secret is derived.
        limits: its bounds.
    """

    def __init__(self, deployment_secret: bytes, limits: Limits | None = None) -> None:
        self._secret = deployment_secret
        self._limits = limits or Limits()
        self._registry = Registry(
            _new_epoch,
            memory_s=self._limits.memory_s,
            rejoin_s=self._limits.rejoin_s,
            withdrawn_s=self._limits.withdrawn_s,
        )
        self._relays = Relays(self._limits.relay_bytes, self._over)
        self._unproven: dict[asyncio.Task[None], None] = {}
        self._connections: set[asyncio.Task[None]] = set()
        self._observe_port = 0

    @asynccontextmanager
    async def listening(
        self, host: str, port: int, observe: int | None = None
    ) -> AsyncIterator[int]:
        """Serve while the context is open; yields the port.

        Args:
            host: address to listen on.
            port: to listen on; 0 for a free one.
            observe: a second port, from which translators that shift ports are told; or None.

        Raises:
            OSError: the address can't be bound.
        """
        async with AsyncExitStack() as stack:
            found = await self._open(stack, host, port)
            if observe is not None:
                self._observe_port = await self._open(stack, host, observe)
            async with self._swept():
                yield found

    async def _open(self, stack: AsyncExitStack, host: str, port: int) -> int:
        """Listen on a port until the stack is left; return which it is."""
        server = await asyncio.start_server(
            self._connected, host, port, backlog=LISTEN_BACKLOG, limit=health.MAX_REQUEST_BYTES
        )
        stack.callback(server.close)
        return int(server.sockets[0].getsockname()[1])

    @asynccontextmanager
    async def _swept(self) -> AsyncIterator[None]:
        """Sweep while the context is open; then end all connections."""
        sweeper = asyncio.create_task(self._sweep())
        try:
            yield
        finally:
            open_tasks = [*self._connections, sweeper]
            for task in open_tasks:
                task.cancel()
            await asyncio.gather(*open_tasks, return_exceptions=True)

    def facts(self) -> dict[str, object]:
        """Return what /health says: counts, no names."""
        jobs = self._registry.jobs.values()
        return {
            "status": "ok",
            "jobs": len(jobs),
            "formed": sum(1 for job in jobs if job.epoch and not job.failure),
            "ranks": sum(len(job.members) for job in jobs),
            "connections": len(self._connections),
            "relays": self._relays.count,
            "relayed_bytes": self._relays.passed_bytes,
        }

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_S)
            self._registry.sweep(_now())
            self._relays.end_orphans(lambda job: self._registry.jobs.get(job.name) is job)

    def _over(self, job: Job, rank: int, words: str) -> None:
        self._registry.end(job, FailureReport("aborted", rank, words), _now())

    # -- one connection --------------------------------------------------------

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is None or len(self._connections) >= self._limits.max_connections:
            cut(writer.transport)
            return
        self._connections.add(task)
        try:
            await self._converse(task, reader, writer)
        except asyncio.CancelledError:
            cut(writer.transport)
        except (*_GONE, AuthError, RendezvousError) as error:
            log.info("a connection ended: %s", error)
            let_go(error)
        finally:
            self._unproven.pop(task, None)
            self._connections.discard(task)
            cut(writer.transport) if writer.transport.is_closing() else writer.close()

    async def _converse(
        self,
        task: asyncio.Task[None],
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self._make_room()
        self._unproven[task] = None
        async with asyncio.timeout(self._limits.prove_s):
            first = await reader.readexactly(len(health.FIRST_BYTES))
            if first == health.FIRST_BYTES:
                await health.answer(reader, writer, self.facts())
                return
            hello, courier = await admit(reader, writer, self._secret_of, first)
            request = await courier.read()
        self._unproven.pop(task, None)
        streams.quicken(writer)
        if request.get("t") == "relay":
            side = side_requests.side_of(reader, writer, courier, field(hello, "rank", int))
            await side_requests.relay(self._registry, self._relays, side, courier, hello, request)
            return
        if request.get("t") == "withdraw":
            side_requests.withdraw(self._registry, courier, hello, request, _now())
            return
        seen = streams.plain(writer.get_extra_info("peername"))
        if request.get("t") == "observe":
            side_requests.observe(self._registry, courier, hello, seen)
            return
        await self._serve_rank(task, writer, courier, read_claim(hello, request, seen))

    def _make_room(self) -> None:
        if len(self._unproven) >= self._limits.max_unproven:
            oldest = next(iter(self._unproven))
            del self._unproven[oldest]
            oldest.cancel()

    def _secret_of(self, job: str) -> bytes:
        try:
            length = len(job.encode())
        except UnicodeEncodeError:
            length = 0
        if not 1 <= length <= MAX_JOB_BYTES:
            raise RendezvousError("a job's name that is empty, too long or no text")
        return keys.derive_secret(self._secret, job)

    async def _serve_rank(
        self,
        task: asyncio.Task[None],
        writer: asyncio.StreamWriter,
        courier: Courier,
        claim: Claim,
    ) -> None:
        try:
            member = self._registry.register(
                claim, lambda message: streams.post(courier, message), lambda: _drop(task), _now()
            )
        except Refused as refusal:
            courier.post(refusal.message)
            return
        member.rtt_s = lambda: streams.round_trip_s(writer)
        if self._observe_port and member.hidden:
            courier.post({"t": "observe", "port": self._observe_port})
        cause = "its connection to the rendezvous closed"
        try:
            while await self._handle(member, await courier.read()):
                member.seen_at = _now()
        except OSError as error:
            cause = f"its connection to the rendezvous broke: {error.strerror}"
            raise
        finally:
            self._registry.lost(member, cause, _now())

    async def _handle(self, member: Member, message: Message) -> bool:
        kind = field(message, "t", str)
        if kind == "leave":
            self._registry.leave(member)
            return False
        if kind == "want":
            self._registry.want(member, field(message, "rank", int))
        elif kind == "punch":
            peer, for_s = field(message, "rank", int), float(field(message, "for_s", float))
            pairing.punch(self._registry, member, peer, for_s)
        elif kind == "beat":
            self._registry.hear(member, message.get("doing"), _now())
        elif kind == "losses":
            self._registry.tell_losses(member)
        elif kind == "who":
            self._registry.who(member)
        elif kind == "verdict" and (found := failure.read(message)):
            self._registry.fail(member, found, _now())
        return True


def _drop(task: asyncio.Task[None]) -> None:
    """End a connection after what was posted to it is on its way."""
    asyncio.get_running_loop().call_later(SWEEP_S, task.cancel)


def _new_epoch() -> int:
    return secrets.randbelow(0xFFFFFFFF) + 1


def _now() -> float:
    return asyncio.get_running_loop().time()
