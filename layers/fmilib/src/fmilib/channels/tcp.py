"""The direct channel: TCP between ranks, links made on first use."""

from __future__ import annotations

import time

from fmilib.channels.base import Channel
from fmilib.channels.loss_tracker import LossTracker
from fmilib.channels.progress import LOOK_S, PendingSend, Progress
from fmilib.connectivity.control import Control
from fmilib.links import transfer
from fmilib.links.job_state import JobState
from fmilib.links.link import SMALL_BYTES, Buffer, Link, LinkQuiet, PeerLeft
from fmilib.links.transfer import Arrived, IncomingMessage, OutgoingMessage
from fmilib.wire import frames
from fmilib.wire.frames import Envelope

NEW_LINKS_S = 0.005


class TcpChannel(Channel):
    """Messages over the links of a board; the control thread makes those that are missing."""

    def __init__(
        self, rank: int, size: int, state: JobState, control: Control, timeout_s: float
    ) -> None:
        super().__init__(rank, size)
        self._state = state
        self._control = control
        self._timeout_s = timeout_s
        self._progress = Progress(state, timeout_s)
        self._last = b""
        state.link_wait = self._progress.wait

    def send(self, peer: int, call: Envelope, parts: list[Buffer]) -> None:
        """Send one message; see `Channel`."""
        transfer.send(self._way_out(peer, call, now=True), call, parts)

    def relay(self, peer: int, call: Envelope, part: memoryview, total: int) -> None:
        """Send one piece of a message; see `Channel`."""
        self._way_out(peer, call, now=True).writer.send(call, [part], total)

    def receive(
        self,
        peer: int,
        call: Envelope,
        into: memoryview | None = None,
        arrived: Arrived | None = None,
    ) -> memoryview:
        """Receive one message; see `Channel`."""
        return transfer.receive(self._link(peer, call, now=False), call, self.rank, into, arrived)

    def exchange(
        self,
        call: Envelope,
        to: int,
        outgoing: memoryview,
        source: int,
        incoming: memoryview | None = None,
        arrived: Arrived | None = None,
    ) -> memoryview:
        """Send and receive side by side; few bytes fit the kernel's buffers, so go in turn."""
        out = self._way_out(to, call, now=False)
        inn = out if source == to else self._link(source, call, now=False)
        if len(outgoing) <= SMALL_BYTES:
            transfer.send(out, call, [outgoing])
            return transfer.receive(inn, call, self.rank, incoming, arrived)
        arriving = IncomingMessage(inn, call, self.rank, incoming, arrived)
        transfer.exchange(
            OutgoingMessage(out, call, outgoing), arriving, (out, inn), self._timeout_s
        )
        return arriving.run()

    def swap(
        self, to: int, outgoing: Envelope, parts: list[Buffer], source: int, incoming: Envelope,
        into: memoryview | None,
    ) -> memoryview:  # fmt: skip
        """Send one message and receive another, of any length, side by side."""
        out = self._way_out(to, outgoing, now=False)
        inn = self._link(source, incoming, now=False)
        arriving = IncomingMessage(inn, incoming, self.rank, into)
        if sum(map(len, parts)) <= SMALL_BYTES:
            transfer.send(out, outgoing, parts)
            return arriving.run()
        payload = memoryview(parts[0] if len(parts) == 1 else b"".join(parts))
        transfer.exchange(
            OutgoingMessage(out, outgoing, payload), arriving, (out, inn), self._timeout_s
        )
        return arriving.run()

    def begin(self, peer: int, call: Envelope, parts: list[Buffer]) -> PendingSend:
        """Begin to send one message; see `Channel`."""
        return self._progress.begin(self._link(peer, call, now=True), call, parts)

    def arrived(self, call: Envelope, peers: list[int] | None) -> int | None:
        """Return a rank whose message is here; see `Channel`."""
        return self._progress.arrived(call.queue, peers)

    def drain(self) -> None:
        """Block until all that was begun is out; see `Channel`."""
        self._progress.drain()

    def collect(
        self, call: Envelope, until: float, patience_s: float
    ) -> tuple[dict[int, memoryview], dict[int, str]]:
        """Receive one message of every other rank, or learn why it doesn't come.

        Args:
            call: the gather, in a queue of its own.
            until: `time.monotonic()` seconds at which to stop.
            patience_s: how long something may still come of a rank that counts as lost.

        Returns:
            The payloads of ranks, and the causes of the others.

        Raises:
            LinkTrouble, MismatchError.
        """
        self._enter(call)
        self._control.ask_for_losses()
        found: dict[int, memoryview] = {}
        gone = LossTracker(self._state, patience_s)
        while True:
            for link in self._state.links():
                if link.peer not in found and link.reader.has_message(call.queue):
                    found[link.peer] = IncomingMessage(link, call, self.rank).run()
            missing = gone.causes(found)
            left_s = until - time.monotonic()
            if len(found) + len(missing) == self.size - 1 or left_s <= 0:
                return found, missing
            linked = len(self._state.links()) >= self.size - 1
            self._progress.turn(min(left_s, LOOK_S if linked else NEW_LINKS_S))
            self._state.check()

    def _way_out(self, peer: int, call: Envelope, *, now: bool) -> Link:
        link = self._link(peer, call, now=now)
        if self._progress.outs:
            self._progress.push()
            self._progress.give_way(link, call)
        return link

    def _link(self, peer: int, call: Envelope, *, now: bool) -> Link:
        if call.stamp is not self._last:
            self._enter(call)
        return self._state.link(peer) or self._make(peer, now=now)

    def _enter(self, call: Envelope) -> None:
        self._last = call.stamp
        if frames.collective_number(call.stamp) is not None:
            self._state.doing.append(call.stamp)

    def _make(self, peer: int, *, now: bool) -> Link:
        state = self._state
        self._control.ask_for_link(peer, now=now)
        state.wait(lambda: state.link(peer) is not None or peer in state.departed, self._timeout_s)
        link = state.link(peer)
        if link is not None:
            return link
        if peer in state.departed:
            raise PeerLeft(peer, "left the job")
        raise LinkQuiet(peer, "makes no link")
