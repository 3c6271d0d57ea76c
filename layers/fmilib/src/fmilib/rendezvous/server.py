"""The rendezvous server: accepts, authenticates, and feeds the registry.

Everything a stranger can hold is bounded: how many connections are unproven at once, for how
long, and how many bytes they may send. When there are too many, the oldest unproven one goes.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import math
import secrets
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import cast

from fmilib import keys, verdict
from fmilib.config import MAX_GENERATION, MAX_JOB_BYTES, MAX_RANKS
from fmilib.control_frames import Courier, Message, field
from fmilib.control_handshake import admit
from fmilib.errors import AuthError, RendezvousError
from fmilib.rendezvous import health, pairs
from fmilib.rendezvous.cutting import cut
from fmilib.rendezvous.jobs import Claim, Job, Member, Refused, Registry
from fmilib.rendezvous.relay import Relays, Side
from fmilib.verdict import Verdict

log = logging.getLogger(__name__)
SWEEP_S = 0.1
MIN_LEASE_S, MAX_LEASE_S = 0.2, 300.0
MAX_BACKLOG_BYTES = 4 << 20
LISTEN_BACKLOG = 4096
_TCP_INFO_RTT_US = 68
_GONE = (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, TimeoutError)


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of a server.

    Attributes:
        prove_s: how long a connection may stay unproven.
        max_unproven: how many may be so at once; beyond, the oldest is dropped.
        max_connections: proven and unproven together; beyond, new ones are dropped.
        memory_s: how long a failed job is remembered.
        rejoin_s: how long those who form a failed job anew wait for the next one to come.
        relay_bytes: how much one job may send through the relay; 0 for no relay.
    """

    prove_s: float = 5.0
    max_unproven: int = 512
    max_connections: int = 8192
    memory_s: float = 60.0
    rejoin_s: float = 15.0
    relay_bytes: int = 1 << 30


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
            _new_epoch, memory_s=self._limits.memory_s, rejoin_s=self._limits.rejoin_s
        )
        self._relays = Relays(self._limits.relay_bytes, self._over)
        self._unproven: dict[asyncio.Task[None], None] = {}
        self._connections: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def listening(self, host: str, port: int) -> AsyncIterator[int]:
        """Serve while the context is open; yields the port.

        Raises:
            OSError: the address can't be bound.
        """
        server = await asyncio.start_server(
            self._connected, host, port, backlog=LISTEN_BACKLOG, limit=health.MAX_REQUEST_BYTES
        )
        sweeper = asyncio.create_task(self._sweep())
        try:
            yield int(server.sockets[0].getsockname()[1])
        finally:
            sweeper.cancel()
            server.close()
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
            "formed": sum(1 for job in jobs if job.epoch and not job.verdict),
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
        self._registry.end(job, Verdict("aborted", rank, words), _now())

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
        _quicken(writer)
        if request.get("t") == "relay":
            side = self._side(reader, writer, courier, field(hello, "rank", int))
            await self._serve_relay(side, courier, hello, request)
            return
        seen = _plain(writer.get_extra_info("peername"))
        await self._serve_rank(task, writer, courier, _claim(hello, request, seen))

    def _side(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        courier: Courier,
        rank: int,
    ) -> Side:
        transport = cast("asyncio.Transport", writer.transport)
        return Side(
            rank,
            transport,
            start=lambda: courier.post({"t": "relayed"}),
            gone=lambda: reader.at_eof() or transport.is_closing(),
        )

    async def _serve_relay(
        self, side: Side, courier: Courier, hello: Message, request: Message
    ) -> None:
        rank, peer = side.rank, field(request, "rank", int)
        name, instance = field(hello, "job", str), field(hello, "instance", str)
        epoch = field(request, "epoch", int)
        try:
            job, other = pairs.relayed(self._registry, name, rank, instance, epoch, peer)
            await self._relays.join(
                job, side, peer, lambda: other.post({"t": "relay", "rank": rank})
            )
        except Refused as refusal:
            courier.post(refusal.message)

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
                claim, lambda message: _post(courier, message), lambda: _drop(task), _now()
            )
        except Refused as refusal:
            courier.post(refusal.message)
            return
        member.rtt_s = lambda: _round_trip_s(writer)
        cause = "its connection to the rendezvous closed"
        try:
            while await self._handle(member, await courier.read()):
                member.seen_at = _now()
        except OSError as error:
            cause = f"its connection to the rendezvous broke: {error.strerror}"
        except asyncio.IncompleteReadError:
            pass
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
            pairs.punch(self._registry, member, peer, for_s)
        elif kind == "beat":
            self._registry.hear(member, message.get("doing"), _now())
        elif kind == "who":
            self._registry.who(member)
        elif kind == "verdict" and (found := verdict.read(message)):
            self._registry.fail(member, found, _now())
        return True


def _claim(hello: Message, request: Message, seen: tuple[str, int]) -> Claim:
    """Return what a proven rank claims.

    Raises:
        RendezvousError: a field is missing or out of its bounds.
    """
    lease_s = float(field(request, "lease_s", float))
    claim = Claim(
        job=field(hello, "job", str),
        rank=field(hello, "rank", int),
        size=field(hello, "size", int),
        generation=field(hello, "generation", int),
        instance=field(hello, "instance", str),
        address=(field(request, "host", str), field(request, "port", int)),
        lease_s=min(max(lease_s, MIN_LEASE_S), MAX_LEASE_S),
        epoch=field(request, "epoch", int),
        seen=seen if request.get("own_port") is True else None,
    )
    if not (
        1 <= claim.size <= MAX_RANKS
        and 0 <= claim.rank < claim.size
        and 0 <= claim.generation <= MAX_GENERATION
        and math.isfinite(lease_s)
        and 0 < claim.address[1] < 65536
        and len(claim.address[0]) <= 255
    ):
        raise RendezvousError("a claim that is out of bounds")
    return claim


def _plain(peername: tuple[str, int]) -> tuple[str, int]:
    """Return an address as IPv4 if it is one, also when an IPv6 socket took the call."""
    host = ipaddress.ip_address(peername[0].partition("%")[0])
    mapped = host.ipv4_mapped if host.version == 6 else None
    return str(mapped or host), peername[1]


def _round_trip_s(writer: asyncio.StreamWriter) -> float:
    """Return the kernel's smoothed round trip of a connection."""
    sock = writer.get_extra_info("socket")
    if writer.is_closing() or sock.fileno() < 0:
        return 0.0
    info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO_RTT_US + 4)
    (rtt_us,) = struct.unpack_from("@I", info, _TCP_INFO_RTT_US)
    return float(rtt_us) / 1e6


def _post(courier: Courier, message: Message) -> None:
    """Queue a message for a rank; one that doesn't read what it is sent is dropped."""
    courier.post(message)
    if courier.backlog_bytes() > MAX_BACKLOG_BYTES:
        courier.abort()


def _drop(task: asyncio.Task[None]) -> None:
    """End a connection after what was posted to it is on its way."""
    asyncio.get_running_loop().call_later(SWEEP_S, task.cancel)


def _quicken(writer: asyncio.StreamWriter) -> None:
    sock = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)


def _new_epoch() -> int:
    return secrets.randbelow(0xFFFFFFFF) + 1


def _now() -> float:
    return asyncio.get_running_loop().time()
