"""What a rank may ask on a connection of its own: a relay, to be seen again, or to withdraw."""

from __future__ import annotations

import asyncio
from typing import cast

from fmilib.rendezvous import pairing
from fmilib.rendezvous.members import Refused
from fmilib.rendezvous.registration import read_withdrawal
from fmilib.rendezvous.registry import Registry
from fmilib.rendezvous.relay import Relays, Side
from fmilib.wire.control_frames import Courier, Message, field


def side_of(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, courier: Courier, rank: int
) -> Side:
    """Return a connection as one end of a relayed one."""
    transport = cast("asyncio.Transport", writer.transport)
    return Side(
        rank,
        transport,
        start=lambda: courier.post({"t": "relayed"}),
        gone=lambda: reader.at_eof() or transport.is_closing(),
    )


async def relay(
    registry: Registry,
    relays: Relays,
    side: Side,
    courier: Courier,
    hello: Message,
    request: Message,
) -> None:
    """Connect a rank to the one that it names, and stay until that has ended.

    Raises:
        RendezvousError: the request lacks something.
    """
    rank, peer = side.rank, field(request, "rank", int)
    name, instance = field(hello, "job", str), field(hello, "instance", str)
    epoch = field(request, "epoch", int)
    try:
        job, other = pairing.relayed(registry, name, rank, instance, epoch, peer)
        await relays.join(job, side, peer, lambda: other.post({"t": "relay", "rank": rank}))
    except Refused as refusal:
        courier.post(refusal.message)


def observe(registry: Registry, courier: Courier, hello: Message, seen: tuple[str, int]) -> None:
    """Note where a rank is seen this time.

    Raises:
        RendezvousError: the hello lacks something.
    """
    name, rank = field(hello, "job", str), field(hello, "rank", int)
    try:
        pairing.observe(registry, name, rank, field(hello, "instance", str), seen)
        courier.post({"t": "observed"})
    except Refused as refusal:
        courier.post(refusal.message)


def withdraw(
    registry: Registry, courier: Courier, hello: Message, request: Message, now: float
) -> None:
    """Note that a rank won't come.

    Raises:
        RendezvousError: the request lacks something.
    """
    try:
        registry.withdraw(read_withdrawal(hello, request), now)
        courier.post({"t": "withdrawn"})
    except Refused as refusal:
        courier.post(refusal.message)
