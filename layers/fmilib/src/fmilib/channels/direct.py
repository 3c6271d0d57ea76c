"""The direct channel: TCP between ranks, links made on first use."""

from __future__ import annotations

from fmilib import flows
from fmilib.board import Board
from fmilib.control import Control
from fmilib.flows import Arrived, Inflow, Outflow
from fmilib.frames import Call
from fmilib.link import SMALL_BYTES, Buffer, Link, LinkQuiet, PeerLeft


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

    def send(self, peer: int, call: Call, parts: list[Buffer]) -> None:
        """Send one message; see `Channel`."""
        flows.send(self._link(peer, call, now=True), call, parts)

    def relay(
        self, peer: int, call: Call, part: memoryview, total: int, digest: bytes | None
    ) -> bytes:
        """Send one piece of a message; see `Channel`."""
        return self._link(peer, call, now=True).writer.send(call, [part], total, digest)

    def receive(
        self,
        peer: int,
        call: Call,
        into: memoryview | None = None,
        arrived: Arrived | None = None,
    ) -> memoryview:
        """Receive one message; see `Channel`."""
        return Inflow(self._link(peer, call, now=False), call, self.rank, into, arrived).run()

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
        out = self._link(to, call, now=False)
        inn = self._link(source, call, now=False)
        inflow = Inflow(inn, call, self.rank, incoming, arrived)
        if len(outgoing) <= SMALL_BYTES:
            flows.send(out, call, [outgoing])
        else:
            flows.exchange(Outflow(out, call, outgoing), inflow, (out, inn), self._timeout_s)
        return inflow.run()

    def swap(
        self, to: int, outgoing: Call, parts: list[Buffer], source: int, incoming: Call,
        into: memoryview | None,
    ) -> memoryview:  # fmt: skip
        """Send one message and receive another, of any length, side by side."""
        out = self._link(to, outgoing, now=False)
        inn = self._link(source, incoming, now=False)
        inflow = Inflow(inn, incoming, self.rank, into)
        if sum(map(len, parts)) <= SMALL_BYTES:
            flows.send(out, outgoing, parts)
            return inflow.run()
        payload = memoryview(parts[0] if len(parts) == 1 else b"".join(parts))
        flows.exchange(Outflow(out, outgoing, payload), inflow, (out, inn), self._timeout_s)
        return inflow.run()

    def _link(self, peer: int, call: Call, *, now: bool) -> Link:
        if call.exact:
            self._board.doing = call.stamp
        return self._board.link(peer) or self._make(peer, now=now)

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
