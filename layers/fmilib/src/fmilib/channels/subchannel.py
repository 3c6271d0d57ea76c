"""Some ranks of a channel as a channel of their own."""

from __future__ import annotations

from fmilib.channels.base import Channel, Sending
from fmilib.links.link import Buffer
from fmilib.links.transfer import Arrived
from fmilib.wire.frames import Envelope


class SubChannel(Channel):
    """The members of a group, numbered anew; see `Channel`.

    Args:
        channel: theirs and others'.
        members: rank on that channel of each rank here.
        rank: this one, here.
    """

    def __init__(self, channel: Channel, members: list[int], rank: int) -> None:
        super().__init__(rank, len(members))
        self._channel = channel
        self._members = members

    def send(self, peer: int, call: Envelope, parts: list[Buffer]) -> None:
        """Send one message; see `Channel`."""
        self._channel.send(self._members[peer], call, parts)

    def relay(self, peer: int, call: Envelope, part: memoryview, total: int) -> None:
        """Send one piece of a message; see `Channel`."""
        self._channel.relay(self._members[peer], call, part, total)

    def receive(
        self,
        peer: int,
        call: Envelope,
        into: memoryview | None = None,
        arrived: Arrived | None = None,
    ) -> memoryview:
        """Receive one message; see `Channel`."""
        return self._channel.receive(self._members[peer], call, into, arrived)

    def exchange(
        self,
        call: Envelope,
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
        self, to: int, outgoing: Envelope, parts: list[Buffer], source: int, incoming: Envelope,
        into: memoryview | None,
    ) -> memoryview:  # fmt: skip
        """Send one message and receive another; see `Channel`."""
        to, source = self._members[to], self._members[source]
        return self._channel.swap(to, outgoing, parts, source, incoming, into)

    def begin(self, peer: int, call: Envelope, parts: list[Buffer]) -> Sending:
        """Begin to send one message; see `Channel`."""
        return self._channel.begin(self._members[peer], call, parts)

    def arrived(self, call: Envelope, peers: list[int] | None) -> int | None:
        """Return a member whose message can be received; see `Channel`."""
        ranks = self._members if peers is None else [self._members[peer] for peer in peers]
        found = self._channel.arrived(call, ranks)
        return None if found is None else self._members.index(found)

    def drain(self) -> None:
        """Block until all that was begun is out; see `Channel`."""
        self._channel.drain()
