"""Simultaneous open: both ranks call each other from their one port at the same time.

Each call opens the caller's own address translation for the answer, so the two cross. A
translator that answers a stranger's call with a reset ends ours early: call again at once.
"""

from __future__ import annotations

import asyncio
import random
import socket

from fmilib.connectivity import ports
from fmilib.connectivity.ports import Address

ROUNDS_S = (0.4, 0.8, 1.3)
ASK_S = 2.0
MAX_WAIT_S = 1.0
_PAUSES_S = (0.001, 0.02)


async def meet(local: Address, remote: Address, for_s: float) -> socket.socket:
    """Return a connection between two ports whose owners call each other.

    Raises:
        TimeoutError: they didn't meet.
    """
    async with asyncio.timeout(for_s):
        while True:
            try:
                return await ports.connected(ports.bound(*local), remote)
            except OSError:
                await asyncio.sleep(random.uniform(*_PAUSES_S))  # noqa: S311 - no secret
