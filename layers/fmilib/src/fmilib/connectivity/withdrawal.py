"""Telling the rendezvous that a rank won't come, without joining."""

from __future__ import annotations

import asyncio
import secrets
import socket
import time
from concurrent.futures import ThreadPoolExecutor

from fmilib.config import Settings
from fmilib.connectivity import ports
from fmilib.errors import RendezvousError
from fmilib.rendezvous.client import request
from fmilib.wire.control_frames import Message

PAUSE_S = 0.2


def announce(settings: Settings, reason: str, until: float) -> None:
    """Have the rendezvous tell all other ranks, now and later, that this one won't come.

    Args:
        settings: this rank's.
        reason: why, in words.
        until: `time.monotonic()` seconds at which to give up.

    Raises:
        RendezvousError: it can't be reached in time, or said no.
        AuthError: it doesn't know the job's secret.
    """
    with ThreadPoolExecutor(1, "fmilib-withdraw") as pool:  # the caller may have a loop of its own
        pool.submit(asyncio.run, _tell(settings, reason, until)).result()


async def _tell(settings: Settings, reason: str, until: float) -> None:
    trouble = "no answer"
    try:
        async with asyncio.timeout(until - time.monotonic()):
            while True:
                try:
                    await _tell_once(settings, reason)
                except (OSError, asyncio.IncompleteReadError) as error:
                    trouble = str(error)
                    await asyncio.sleep(PAUSE_S)
                else:
                    return
    except TimeoutError:
        where = f"{settings.host}:{settings.port}"
        raise RendezvousError(f"no rendezvous answered at {where}: {trouble}") from None


async def _tell_once(settings: Settings, reason: str) -> None:
    hello: Message = {
        "job": settings.job,
        "rank": settings.rank,
        "size": settings.size,
        "generation": settings.generation,
        "instance": secrets.token_hex(16),
    }
    sock = await _reach(settings)
    with sock:
        question = {"t": "withdraw", "reason": reason}
        await request(sock, hello, settings.secret, question, "withdrawn")


async def _reach(settings: Settings) -> socket.socket:
    trouble: OSError = ConnectionError("the rendezvous has no address")
    for remote in await ports.resolved(settings.host, settings.port):
        try:
            return await ports.call(remote)
        except OSError as error:
            trouble = error
    raise trouble
