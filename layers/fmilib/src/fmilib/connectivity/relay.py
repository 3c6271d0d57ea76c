"""The last way to a rank: a connection through the rendezvous, which passes bytes on unseen.

The rank proves itself to the rendezvous as for registering, and names the rank it means. On
the bytes that follow, the two ranks do the handshake of any link; the rendezvous, though it
could cut the connection, can't change or forge a frame unnoticed.
"""

from __future__ import annotations

import socket

from fmilib.connectivity import ports
from fmilib.connectivity.ports import Address
from fmilib.rendezvous.client import request
from fmilib.wire.control_frames import Message


async def connect_through_relay(
    rendezvous: Address, hello: Message, secret: bytes, wanted: Message
) -> socket.socket:
    """Return a connection to the rank that `wanted` names, through the rendezvous.

    Raises:
        RendezvousError: it doesn't pass anything on for this rank.
        AuthError: it doesn't know the job's secret.
        OSError: it can't be reached, or hung up.
    """
    sock = await ports.call(rendezvous)
    await request(sock, hello, secret, {"t": "relay", **wanted}, "relayed")
    return sock
