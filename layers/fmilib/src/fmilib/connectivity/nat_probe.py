"""Being seen a second time: from the same port, at another port of the rendezvous.

A translator that shows two different public ports for one local port (a symmetric one) will
show a third one to a peer, so that no peer can know where to call. The rendezvous finds that
out by comparing; two ranks that it can't bring together are relayed at once.
"""

from __future__ import annotations

import asyncio

from fmilib.connectivity import ports
from fmilib.connectivity.ports import Address
from fmilib.errors import AuthError, RendezvousError
from fmilib.rendezvous.client import request
from fmilib.wire.control_frames import Message

OBSERVE_S = 2.0


async def be_observed(local: Address, observer: Address, hello: Message, secret: bytes) -> None:
    """Call the rendezvous' second port from the port for links; without it, nothing is known."""
    try:
        async with asyncio.timeout(OBSERVE_S):
            sock = await ports.connected(ports.bound(*local), observer)
            await request(sock, hello, secret, {"t": "observe"}, "observed")
    except (OSError, TimeoutError, AuthError, RendezvousError):
        return
    sock.close()
