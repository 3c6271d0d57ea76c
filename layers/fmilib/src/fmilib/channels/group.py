"""Some ranks of a channel as a channel of their own, and a swap of any two messages."""

from __future__ import annotations

from fmilib.channels.base import Channel
from fmilib.channels.direct import Direct
from fmilib.flows import Arrived
from fmilib.frames import Call
from fmilib.link import Buffer


class Group:
    """The members of a group, numbered anew; see `Channel`.

    Args:
        channel: theirs and others'.
        members: rank on that channel of each rank here.
        rank: this one, here.
    """

    def __init__(self, channel: Channel, members: list[int], rank: int) -> None:
        self.rank = rank
        self.size = len(members)
        self._channel = channel
        self._members = members

    def send(self, peer: int, call: Call, parts: list[Buffer]) -> None:
        """Send one message; see `Channel`."""
        self._channel.send(self._members[peer], call, parts)

    def relay(
        self, peer: int, call: Call, part: memoryview, total: int, digest: bytes | None
    ) -> bytes:
        """Send one piece of a message; see `Channel`."""
        return self._channel.relay(self._members[peer], call, part, total, digest)

    def receive(
        self,
        peer: int,
        call: Call,
        into: memoryview | None = None,
        arrived: Arrived | None = None,
    ) -> memoryview:
        """Receive one message; see `Channel`."""
        return self._channel.receive(self._members[peer], call, into, arrived)

    def exchange(
        self,
        call: Call,
        to: int,
        outgoing: memoryview,
        source: int,
        incoming: memoryview | None = None,
        arrived: Arrived | None = None,
    ) -> memoryview:
        """Send and receive side by side; see `Channel`."""
        to, source = self._members[to], self._members[source]
        return self._channel.exchange(call, to, outgoing, source, incoming, arrived)

    def swap(
        self, to: int, outgoing: Call, parts: list[Buffer], source: int, incoming: Call,
        into: memoryview | None,
    ) -> memoryview:  # fmt: skip
        """Do what `swap` does, between members."""
        to, source = self._members[to], self._members[source]
        return swap(self._channel, to, outgoing, parts, source, incoming, into)


def swap(
    channel: Channel, to: int, outgoing: Call, parts: list[Buffer], source: int, incoming: Call,
    into: memoryview | None = None,
) -> memoryview:  # fmt: skip
    """Send one message and receive another, of any length and tag, side by side.

    Returns:
        The payload received, in `into` if that is given.

    Raises:
        LinkTrouble, MismatchError.
    """
    if isinstance(channel, Direct | Group):
        return channel.swap(to, outgoing, parts, source, incoming, into)
    channel.send(to, outgoing, parts)  # a store takes everything
    return channel.receive(source, incoming, into)
