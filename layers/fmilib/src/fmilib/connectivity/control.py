"""The control thread of a rank: its connection to the rendezvous, and its links' handshakes.

It runs one small asyncio loop. It registers, sends signs of life, takes in addresses,
dials lower-to-higher, answers dials, and turns the first failure into the job state's. No
payload ever passes through it.
"""

from __future__ import annotations

import asyncio
import secrets
import socket
import threading
import time
from collections.abc import Coroutine
from typing import Any

from fmilib.config import Settings
from fmilib.connectivity.connector import Connector
from fmilib.connectivity.failure_detector import LEASE_OF_DETECT
from fmilib.connectivity.ports import Address
from fmilib.errors import (
    Aborted,
    AuthError,
    FmiError,
    MismatchError,
    RendezvousError,
    StaleGeneration,
)
from fmilib.links.job_state import JobState
from fmilib.stats import Stats
from fmilib.wire import failure
from fmilib.wire.control_frames import Courier, Message, field
from fmilib.wire.control_handshake import join
from fmilib.wire.disconnect import let_go
from fmilib.wire.failure import FailureReport

ATTEMPT_S = 5.0
RETRY_S = (0.02, 1.0)
CLOSE_S = 1.0
BEATS_A_LEASE = 4
_GONE = (OSError, asyncio.IncompleteReadError, TimeoutError)


class _Later(RendezvousError):  # noqa: N818 - a signal inside this module
    """An earlier job of this name still runs; this rank has left it and may come again."""


class Control:
    """Owner of the control thread.

    Args:
        settings: this rank's.
        state: what it shares with the data thread.
        stats: given to the links it makes.
    """

    def __init__(self, settings: Settings, state: JobState, stats: Stats) -> None:
        self._settings = settings
        self._state = state
        self._instance = secrets.token_hex(16)
        self._courier: Courier | None = None
        self._registered = False
        self._reported = False
        self._leaving = False
        self._put_off = ""
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._hello = self._who()
        self._connector = Connector(settings, state, stats, self._post, self._hello)
        self._tasks: set[asyncio.Task[None]] = set()
        self._thread = threading.Thread(target=self._run, name="fmilib-control", daemon=True)

    # -- from the data thread --------------------------------------------------

    def start(self, until: float) -> None:
        """Start the thread and wait until this rank is registered.

        Args:
            until: `time.monotonic()` seconds at which to give up.

        Raises:
            AuthError, RendezvousError, StaleGeneration, MismatchError, PeerFailed, Aborted.
        """
        self._thread.start()
        left_s = max(0.0, until - time.monotonic())
        if not self._state.wait(lambda: self._registered, left_s):
            where = f"{self._settings.host}:{self._settings.port}"
            why = self._put_off or f"no rendezvous answered at {where}"
            raise RendezvousError(f"{why} in {left_s:.1f} s")

    def ask_for_link(self, peer: int, *, now: bool) -> None:
        """Have a link made; `now` if the peer may not be about to make it itself."""
        self._call(lambda: self._connector.begin(peer, now=now))

    def ask_for_losses(self) -> None:
        """Have the rendezvous tell of every rank that is lost or leaves, not the first alone."""
        self._call(lambda: self._post({"t": "losses"}))

    def report(self, found: FailureReport) -> None:
        """Tell the rendezvous of a failure, once."""
        self._call(lambda: self._report(found))

    def ask_who_is_missing(self, timeout_s: float) -> tuple[int, ...]:
        """Return the ranks that the forming waits for; empty if the rendezvous can't say."""
        self._call(lambda: self._post({"t": "who"}))
        self._state.wait(lambda: self._state.missing is not None, timeout_s)
        return self._state.missing or ()

    def finish(self) -> None:
        """Leave in good order if the job is well, and end the thread."""
        self._leaving = True
        if self._thread.is_alive():
            self._call(self._stop.set)
            self._thread.join()

    def _call(self, action: Any) -> None:
        try:
            self._loop.call_soon_threadsafe(action)
        except RuntimeError:  # the loop is closed: nobody is left to tell
            return

    # -- in the control thread -------------------------------------------------

    def _run(self) -> None:
        try:
            self._loop.run_until_complete(self._main())
            self._loop.run_until_complete(self._loop.shutdown_default_executor())
        finally:
            self._loop.close()

    async def _main(self) -> None:
        duties = [self._stay_registered(), self._watch_clock()]
        duties += [self._connector.watch_links(), self._connector.watch.run()]
        tasks = [asyncio.create_task(self._dutiful(duty)) for duty in duties]
        await self._stop.wait()
        await self._say_goodbye()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._connector.close()

    async def _dutiful(self, duty: Coroutine[Any, Any, None]) -> None:
        try:
            await duty
        except FmiError as error:
            self._state.fail(error)

    async def _say_goodbye(self) -> None:
        courier, self._courier = self._courier, None
        if courier is None:
            return
        if not self._state.failed:
            courier.post({"t": "leave"})
        await courier.close(CLOSE_S)

    async def _watch_clock(self) -> None:
        """Turn the deadline into a clean end of the job."""
        deadline = self._settings.deadline
        if deadline is None:
            return
        await asyncio.sleep(max(0.0, deadline - time.monotonic()))
        stopped = Aborted(self._settings.rank, "its deadline is reached")
        if self._state.fail(stopped):
            self._report(failure.of_error(stopped, self._settings.rank))

    async def _stay_registered(self) -> None:
        """Keep one connection to the rendezvous; come back after a loss, as often as needed."""
        pause_s = RETRY_S[0]
        while not self._leaving:
            try:
                await self._one_connection()
                pause_s = RETRY_S[0]
            except _GONE as error:
                self._state.trace("rendezvous.lost", cause=repr(error))
                let_go(error)
                pause_s = min(2 * pause_s, RETRY_S[1])
            except _Later as later:
                self._put_off, pause_s = str(later), min(2 * pause_s, RETRY_S[1])
            except RendezvousError:
                if not self._registered:
                    raise
                pause_s = RETRY_S[1]
            await asyncio.sleep(pause_s)

    async def _one_connection(self) -> None:
        async with asyncio.timeout(ATTEMPT_S):
            sock = await self._connector.listener.reach()
        try:
            reader, writer = await asyncio.open_connection(sock=sock)
        except BaseException:
            sock.close()
            raise
        try:
            async with asyncio.timeout(ATTEMPT_S):
                courier = await self._register(reader, writer)
            await self._listen_and_beat(courier)
        finally:
            self._courier = None
            self._connector.watch.needed = self._registered
            writer.transport.abort()

    async def _register(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> Courier:
        _notice_silence(writer.get_extra_info("socket"), self._lease_s)
        keys = await join(reader, writer, self._hello, self._settings.secret)
        courier = Courier(reader, writer, *keys)
        local = writer.get_extra_info("sockname")
        courier.post(self._registration((str(local[0]), int(local[1]))))
        self._admitted(await courier.read(), courier)
        return courier

    def _who(self) -> Message:
        settings = self._settings
        return {
            "job": settings.job,
            "rank": settings.rank,
            "size": settings.size,
            "generation": settings.generation,
            "instance": self._instance,
        }

    @property
    def _lease_s(self) -> float:
        return float(self._settings.detect_s * LEASE_OF_DETECT)

    def _registration(self, local: Address) -> Message:
        where = self._connector.listener.registration(local)
        epoch = self._state.epoch or 0
        return {
            "t": "register",
            **where,
            "lease_s": self._lease_s,
            "epoch": epoch,
            "rejoin": self._settings.on_failure == "rejoin",
        }

    def _admitted(self, answer: Message, courier: Courier) -> None:
        if answer.get("t") != "welcome":
            raise _refusal(answer, self._settings)
        self._courier = courier
        self._state.update(lambda: setattr(self, "_registered", True))
        self._state.trace(
            "rendezvous.registered", host=self._settings.host, port=self._settings.port
        )
        self._connector.welcome(answer)

    async def _listen_and_beat(self, courier: Courier) -> None:
        beating = asyncio.create_task(self._beat(courier))
        try:
            while True:
                self._handle(await courier.read())
        finally:
            beating.cancel()

    async def _beat(self, courier: Courier) -> None:
        every_s = self._lease_s / BEATS_A_LEASE
        said: list[bytes] = []
        while True:
            await asyncio.sleep(every_s)
            doing = list(self._state.doing)
            new = [] if doing == said else [stamp.hex() for stamp in doing]
            courier.post({"t": "beat", "doing": new})
            said = doing

    def _handle(self, message: Message) -> None:
        kind = field(message, "t", str)
        if kind == "verdict" and (found := failure.read(message)):
            if found.kind == "lost" and self._state.bear(found.rank, found.words, told=True):
                return
            self._reported = True
            self._state.fail(found.error())
        elif kind == "stale":
            newer = field(message, "newer", int)
            self._state.fail(StaleGeneration(self._settings.generation, newer))
        elif kind == "refused":
            self._state.fail(_refusal(message, self._settings))
        elif kind == "formed":
            epoch = field(message, "epoch", int)
            self._state.update(lambda: setattr(self._state, "epoch", epoch))
            self._state.trace("job.formed", epoch=epoch, channel="direct")
        elif kind == "missing":
            ranks = tuple(rank for rank in field(message, "ranks", list) if type(rank) is int)
            self._state.update(lambda: setattr(self._state, "missing", ranks))
        else:
            self._connector.handle(kind, message)

    def _post(self, message: Message) -> bool:
        """Send a message if the rendezvous is there; return whether it is."""
        if self._courier is None:
            return False
        self._courier.post(message)
        return True

    def _report(self, found: FailureReport) -> None:
        if not self._reported:
            self._reported = self._post(found.message())


def _notice_silence(sock: socket.socket, bound_s: float) -> None:
    """Have the kernel end the connection when nothing is acknowledged for so long."""
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(1000 * bound_s))


def _refusal(answer: Message, settings: Settings) -> FmiError:
    code, text = answer.get("code"), str(answer.get("text"))
    if code == "stale_generation":
        return StaleGeneration(settings.generation, int(answer.get("newer", 0)))
    if code == "failed" and (found := failure.read(answer)):
        return found.error()
    if code == "mismatch":
        return MismatchError(text)
    if code == "auth":
        return AuthError(text)
    return _Later(text) if code == "later" else RendezvousError(text)
