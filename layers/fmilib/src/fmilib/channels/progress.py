"""What moves on a board's links beside the call that is running: begun sends, early arrivals.

No thread: bytes move whenever the data thread comes by. A blocked call comes by too, so that
two ranks that wait for each other's reading never stop each other.
"""

from __future__ import annotations

import select
import time
from collections import deque
from collections.abc import Callable
from functools import partial
from itertools import chain

from fmilib.links import transfer
from fmilib.links.job_state import JobState
from fmilib.links.link import Buffer, Link, LinkLost, LinkQuiet, Poisoned
from fmilib.links.socket_options import DONTWAIT
from fmilib.links.unexpected import Queue
from fmilib.wire import failure
from fmilib.wire.frames import Envelope

LOOK_S = 0.1  # links may come up during a wait


class PendingSend:
    """One message that was begun; its frames leave when the link is free for them.

    Args:
        progress: moves it.
        link: where to.
        call: what it belongs to.
        parts: its payload, unchanged until it is done.

    Attributes:
        queue: it stays in order with others of this one.
        open: whether a frame of it is on its way, which no other may cut.
        done: whether the kernel has all of it.
    """

    def __init__(self, progress: Progress, link: Link, call: Envelope, parts: list[Buffer]) -> None:
        self._progress = progress
        self._link = link
        self._call = call
        self._total = sum(map(len, parts))
        self._groups = transfer.segments(parts)
        self._next = next(self._groups, None)
        self._pending: list[Buffer] = []
        self.queue = call.queue
        self.done = False

    @property
    def open(self) -> bool:
        """Whether a frame of it is on its way."""
        return bool(self._pending)

    def push(self) -> bool:
        """Send what the kernel takes at once; return whether anything moved.

        Raises:
            LinkLost.
        """
        writer = self._link.writer
        if not self._pending and self._next is not None:
            digest, sent = writer.wrap(self._next)
            self._pending = writer.open_frame(self._call, sent, self._total, digest)
            self._next = next(self._groups, None)
        moved = writer.push(self._pending, DONTWAIT)
        self.done = self._next is None and not self._pending
        return moved

    def test(self) -> bool:
        """Move what moves without blocking; return whether all of it is out."""
        if not self.done:
            self._progress.turn()
        return self.done

    def finish(self) -> None:
        """Block until all of it is out.

        Raises:
            LinkTrouble.
        """
        self._progress.finish(self._link, lambda: self.done)


class Progress:
    """Moves bytes on all links of a board.

    Args:
        state: whose links.
        timeout_s: bound of a wait in which nothing moves.

    Attributes:
        outs: sends that were begun and aren't over, by rank.
    """

    def __init__(self, state: JobState, timeout_s: float) -> None:
        self._state = state
        self._timeout_s = timeout_s
        self.outs: dict[int, deque[PendingSend]] = {}
        self._last = -1

    def begin(self, link: Link, call: Envelope, parts: list[Buffer]) -> PendingSend:
        """Begin a send, behind those that were begun on this link before."""
        out = PendingSend(self, link, call, parts)
        self.outs.setdefault(link.peer, deque()).append(out)
        self._push(link)
        return out

    def turn(self, wait_s: float = 0.0) -> None:
        """Move what moves on every link, and put aside what came; wait so long for the first.

        Raises:
            LinkLost, Poisoned.
        """
        self.push()
        self._round({}, wait_s)

    def push(self) -> None:
        """Send on what the kernel takes at once of the sends that were begun.

        Raises:
            LinkLost.
        """
        for peer in list(self.outs):
            link = self._state.link(peer)
            if link is not None:
                self._push(link)

    def give_way(self, link: Link, call: Envelope) -> None:
        """Wait until a frame of `call` may leave: no other is cut, none of its queue is before it.

        Raises:
            LinkTrouble.
        """
        if outs := self.outs.get(link.peer):
            queue = call.queue
            self.finish(link, lambda: not ((outs and outs[0].open) or _any_of(outs, queue)))

    def finish(self, link: Link, done: Callable[[], bool]) -> None:
        """Push a link's sends until `done()`.

        Raises:
            LinkTrouble.
        """
        while True:
            self._push(link)
            if done():
                return
            if not self.wait({link: select.POLLOUT}, self._timeout_s):
                raise LinkQuiet(link.peer, "takes no data")

    def drain(self) -> None:
        """Wait until every send that was begun is out.

        Raises:
            LinkTrouble.
        """
        for peer in list(self.outs):
            link = self._state.link(peer)
            if link is not None:
                self.finish(link, partial(self._has_none_for, peer))

    def arrived(self, queue: Queue, peers: list[int] | None) -> int | None:
        """Return a rank whose next message of a queue is here as a whole; None if there is none.

        Of several, the next one after the one that was found last.

        Args:
            queue: of the call.
            peers: the ranks that count; None for all.

        Raises:
            LinkLost, Poisoned.
        """
        found = self._whole(queue, peers)
        if found is None:
            self.turn()
            found = self._whole(queue, peers)
        if found is not None and (peers is None or len(peers) > 1):
            self._last = found
        return found

    def wait(self, wanted: dict[Link, int], timeout_s: float) -> bool:
        """Wait for one of the events wanted of links, and meanwhile move what moves elsewhere.

        Raises:
            LinkLost, Poisoned.
        """
        until = time.monotonic() + timeout_s
        while True:
            left_s = until - time.monotonic()
            if self._round(wanted, max(0.0, min(left_s, LOOK_S))):
                return True
            if left_s <= 0:
                return False

    # -- inside ----------------------------------------------------------------

    def _has_none_for(self, peer: int) -> bool:
        return peer not in self.outs

    def _whole(self, queue: Queue, peers: list[int] | None) -> int | None:
        links = self._state.links()
        here = [
            link.peer
            for link in links
            if link.reader.has_message(queue) and (peers is None or link.peer in peers)
        ]
        return min(here, key=lambda peer: (peer <= self._last, peer), default=None)

    def _round(self, wanted: dict[Link, int], wait_s: float) -> bool:
        """Poll all links once; return whether one of the events wanted has come.

        A link that somebody waits to read from is left to him, and one that somebody waits to
        write to is: he may be in the middle of a frame.
        """
        links = {link.fileno(): link for link in chain(wanted, self._state.links())}
        poll = select.poll()
        for descriptor, link in links.items():
            if events := self._events(link, wanted.get(link, 0)):
                poll.register(descriptor, events)
        came = False
        for descriptor, events in poll.poll(wait_s * 1000):
            link = links[descriptor]
            mine = wanted.get(link, 0)
            came = came or (bool(events & (mine | ~_BOTH)) and bool(mine))
            if events & select.POLLOUT and not mine & select.POLLOUT:
                self._push(link)
            if events & ~select.POLLOUT and not mine & select.POLLIN:
                self._pump(link)
        for link in links.values():
            if link.reader.staged and not wanted.get(link, 0) & select.POLLIN:
                self._pump(link)
        return came

    def _pump(self, link: Link) -> None:
        try:
            link.reader.pump()
        except LinkLost as lost:
            if not self._state.bear(link.peer, lost.cause, told=False):
                raise
            link.reader.left = True  # nothing more comes
        except Poisoned as poisoned:
            found = failure.decode(poisoned.cause)
            if found is None or found.kind != "lost":
                raise
            cause = f"it gave up because of rank {found.rank}: {found.words}"
            if not self._state.bear(found.rank, found.words, told=False):
                raise
            self._state.bear(link.peer, cause, told=False)
            link.reader.left = True

    def _events(self, link: Link, mine: int) -> int:
        events = mine if link.reader.left else mine | select.POLLIN
        return events | select.POLLOUT if link.peer in self.outs else events

    def _push(self, link: Link) -> None:
        outs = self.outs.get(link.peer)
        while outs and outs[0].push():
            if outs[0].done:
                outs.popleft()
        if outs is not None and not outs:
            del self.outs[link.peer]


_BOTH = select.POLLIN | select.POLLOUT


def _any_of(outs: deque[PendingSend], queue: Queue) -> bool:
    return any(one.queue == queue for one in outs)
