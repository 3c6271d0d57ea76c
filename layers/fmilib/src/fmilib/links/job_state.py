"""What the control thread and the data thread of a rank both know.

The first failure wins and is kept: from then on every call raises it. All waiting that
isn't on a socket is `JobState.wait`, which ends early when the job fails.
"""

from __future__ import annotations

import copy
import threading
from collections import deque
from collections.abc import Callable

from fmilib.errors import FmiError, PeerFailed
from fmilib.links.link import Link, Wait, wait_for
from fmilib.trace import Trace
from fmilib.wire import failure
from fmilib.wire.control_frames import REMEMBERED

Address = tuple[str, int]


class JobState:
    """State of one rank's membership; every change wakes the waiting threads.

    Attributes:
        epoch: number of the forming; None until all ranks are there.
        addresses: where ranks listen, as far as this rank was told.
        departed: ranks that left in good order.
        missing: ranks that the forming still waited for, when last asked.
        closed: whether this rank has left the job.
        doing: stamps of the last collectives that this rank entered, in order.
        lost: ranks whose loss no call has had to raise yet, and why they count as lost.
        link_wait: how blocked calls wait on links that are taken in from now on.
        trace: told of what happens.
    """

    def __init__(self, rank: int, generation: int = 0, trace: Trace | None = None) -> None:
        self._rank = rank
        self._generation = generation
        self._changed = threading.Condition()
        self._error: FmiError | None = None
        self._links: dict[int, Link] = {}
        self.closed = False
        self.epoch: int | None = None
        self.addresses: dict[int, Address] = {}
        self.departed: set[int] = set()
        self.missing: tuple[int, ...] | None = None
        self.doing: deque[bytes] = deque(maxlen=REMEMBERED)
        self.lost: dict[int, str] = {}
        self._calling = threading.Lock()
        self._in_call = False
        self._only_needed: int | None = None
        self.link_wait: Wait = wait_for
        self.trace = trace or Trace(rank=rank)

    @property
    def failed(self) -> bool:
        """Whether the job has failed."""
        return self._error is not None

    def check(self) -> None:
        """Raise the job's failure, if there is one."""
        if self._error is not None:
            raise copy.copy(self._error)

    def update(self, change: Callable[[], None]) -> None:
        """Make a change and wake the waiting."""
        with self._changed:
            change()
            self._changed.notify_all()

    def wait(self, done: Callable[[], bool], timeout_s: float) -> bool:
        """Wait until `done()` or the job fails; return whether `done()`.

        Raises:
            FmiError: the job failed.
        """
        with self._changed:
            self._changed.wait_for(lambda: self.failed or done(), timeout_s)
            self.check()
            return done()

    def fail(self, error: FmiError) -> bool:
        """Record a failure if it is the first, and end all links; return whether it was."""
        error = failure.as_seen_by(error, self._rank, self._generation)
        with self._changed:
            if self._error is not None:
                return False
            self._error = error
            links = list(self._links.values())
            self._changed.notify_all()
        poison = failure.of_error(error, self._rank).encoded()
        for link in links:
            link.poison(poison)
        self.trace("job.failed", error=error)
        return True

    def enter(self, only_needed: int | None = None) -> bool:
        """A call begins: take the links for it, until `leave`; return False if another has them.

        Args:
            only_needed: the one rank whose loss the call can't bear; None if it can bear none.

        Raises:
            FmiError: the job failed, or has lost a rank that the call can't bear to lose.
        """
        if not self._calling.acquire(False):
            return False
        self._in_call, self._only_needed = True, only_needed
        if self.lost or self._error is not None:
            self._refuse_what_failed(only_needed)
        return True

    def _refuse_what_failed(self, only_needed: int | None) -> None:
        try:
            for peer in list(self.lost):
                if only_needed in (None, peer):
                    self.fail(PeerFailed(peer, self.lost[peer]))
            self.check()
        except FmiError:
            self.leave()
            raise

    def leave(self) -> None:
        """The data thread's call is over."""
        self._in_call, self._only_needed = False, None
        self._calling.release()

    def bear(self, peer: int, cause: str, *, told: bool) -> bool:
        """Take in that a rank is lost; return False if that is the job's failure now.

        It isn't while this rank gathers what there is, nor, if the rendezvous has told all
        ranks, while it is in no call: its next call decides.
        """
        with self._changed:
            idle = told and not self._in_call
            gathering = self._only_needed not in (None, peer)
            if peer == self._rank or self.failed or not (idle or gathering):
                return False
            self.lost.setdefault(peer, cause)
            self._changed.notify_all()
        return True

    # -- links -----------------------------------------------------------------

    def link(self, peer: int) -> Link | None:
        """Return the link to a rank, if it is up."""
        return self._links.get(peer)

    def links(self) -> list[Link]:
        """Return all links that are up."""
        with self._changed:
            return list(self._links.values())

    def add(self, link: Link) -> bool:
        """Take a link in; return False, and close it, if there is one or the job is over."""
        with self._changed:
            if not (self.closed or self.failed or link.peer in self._links):
                link.wait = self.link_wait
                self._links[link.peer] = link
                self._changed.notify_all()
                return True
        link.close()
        return False

    def close(self) -> None:
        """Close all links and take no more."""
        with self._changed:
            self.closed = True
            links = list(self._links.values())
            self._links.clear()
        for link in links:
            link.close()
