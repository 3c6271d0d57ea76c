"""The direct channel: TCP between ranks, links made on first use."""

from __future__ import annotations

import time

from fmilib import flows, frames
from fmilib.board import Board
from fmilib.channels.gone import Gone
from fmilib.channels.progress import LOOK_S, Outgoing, Progress
from fmilib.control import Control
from fmilib.flows import Arrived, Inflow, Outflow
from fmilib.frames import Call
from fmilib.link import SMALL_BYTES, Buffer, Link, LinkQuiet, PeerLeft

NEW_LINKS_S = 0.005


class Direct:
    """Messages over the links of a board; the control thread makes those that are missing."""

    def __init__(
        self, rank: int, size: int, board: Board, control: Control, timeout_s: float
    ) -> None:
        self.rank = rank
        self.size = size
        self._board = board
        self._control = control
        self._timeout_s = timeout_s
        self._progress = Progress(board, timeout_s)
        self._last = b""
        board.link_wait = self._progress.wait

    def send(self, peer: int, call: Call, parts: list[Buffer]) -> None:
        """Send one message; see `Channel`."""
        flows.send(self._way_out(peer, call, now=True), call, parts)

    def relay(self, peer: int, call: Call, part: memoryview, total: int) -> None:
        """Send one piece of a message; see `Channel`."""
        self._way_out(peer, call, now=True).writer.send(call, [part], total)

    def receive(
        self,
        peer: int,
        call: Call,
        into: memoryview | None = None,
        arrived: Arrived | None = None,
    ) -> memoryview:
        """Receive one message; see `Channel`."""
        return flows.receive(self._link(peer, call, now=False), call, self.rank, into, arrived)

    def exchange(
        self,
        call: Call,
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
            flows.send(out, call, [outgoing])
            return flows.receive(inn, call, self.rank, incoming, arrived)
        inflow = Inflow(inn, call, self.rank, incoming, arrived)
        flows.exchange(Outflow(out, call, outgoing), inflow, (out, inn), self._timeout_s)
        return inflow.run()

    def swap(
        self, to: int, outgoing: Call, parts: list[Buffer], source: int, incoming: Call,
        into: memoryview | None,
    ) -> memoryview:  # fmt: skip
        """Send one message and receive another, of any length, side by side."""
        out = self._way_out(to, outgoing, now=False)
        inn = self._link(source, incoming, now=False)
        inflow = Inflow(inn, incoming, self.rank, into)
        if sum(map(len, parts)) <= SMALL_BYTES:
            flows.send(out, outgoing, parts)
            return inflow.run()
        payload = memoryview(parts[0] if len(parts) == 1 else b"".join(parts))
        flows.exchange(Outflow(out, outgoing, payload), inflow, (out, inn), self._timeout_s)
        return inflow.run()

    def begin(self, peer: int, call: Call, parts: list[Buffer]) -> Outgoing:
        """Begin to send one message; see `Channel`."""
        return self._progress.begin(self._link(peer, call, now=True), call, parts)

    def arrived(self, call: Call, peers: list[int] | None) -> int | None:
        """Return a rank whose message is here; see `Channel`."""
        return self._progress.arrived(call.queue, peers)

    def drain(self) -> None:
        """Block until all that was begun is out; see `Channel`."""
        self._progress.drain()

    def collect(
        self, call: Call, until: float, patience_s: float
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
        gone = Gone(self._board, patience_s)
        while True:
            for link in self._board.links():
                if link.peer not in found and link.reader.has_message(call.queue):
                    found[link.peer] = Inflow(link, call, self.rank).run()
            missing = gone.causes(found)
            left_s = until - time.monotonic()
            if len(found) + len(missing) == self.size - 1 or left_s <= 0:
                return found, missing
            linked = len(self._board.links()) >= self.size - 1
            self._progress.turn(min(left_s, LOOK_S if linked else NEW_LINKS_S))
            self._board.check()

    def _way_out(self, peer: int, call: Call, *, now: bool) -> Link:
        link = self._link(peer, call, now=now)
        if self._progress.outs:
            self._progress.push()
            self._progress.give_way(link, call)
        return link

    def _link(self, peer: int, call: Call, *, now: bool) -> Link:
        if call.stamp is not self._last:
            self._enter(call)
        return self._board.link(peer) or self._make(peer, now=now)

    def _enter(self, call: Call) -> None:
        self._last = call.stamp
        if frames.collective_number(call.stamp) is not None:
            self._board.doing.append(call.stamp)

    def _make(self, peer: int, *, now: bool) -> Link:
        board = self._board
        self._control.ask_for_link(peer, now=now)
        board.wait(lambda: board.link(peer) is not None or peer in board.departed, self._timeout_s)
        link = board.link(peer)
        if link is not None:
            return link
        if peer in board.departed:
            raise PeerLeft(peer, "left the job")
        raise LinkQuiet(peer, "makes no link")
