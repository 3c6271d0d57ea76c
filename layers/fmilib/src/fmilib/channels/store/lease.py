"""Leases over a store: every rank shows that it lives, and one that waits watches whom it needs.

A thread of each rank keeps a small signed record with a number that grows. While this rank
waits for a message, the same thread looks at the record of the rank that it waits for: if the
number stands still for a lease, that rank is lost and the alarm is rung, which ends the wait
here and everywhere else. Clocks of machines differ, so nothing but change is looked at, and
only time in which this rank itself was looking counts.
"""

from __future__ import annotations

import threading
import time

from fmilib.channels.store.base import Store
from fmilib.channels.store.crypto import seal, unseal
from fmilib.config import Settings
from fmilib.errors import RendezvousError
from fmilib.wire.failure import FailureReport

LEASE_OF_DETECT = 0.5
BEATS_A_LEASE = 4


class Lease:
    """One rank's own lease, and its view of the lease of the rank that it waits for.

    Off if `detect_s` isn't below `timeout_s`: then a time-out ends every wait as early.

    Args:
        settings: this rank's.
        store: open; used by the lease's thread too.
        epoch: of the formed job.

    Attributes:
        watched: the rank that this one waits for; None while it waits for none.
    """

    def __init__(self, settings: Settings, store: Store, epoch: str) -> None:
        self.watched: int | None = None
        self._settings = settings
        self._store = store
        self._epoch = epoch
        self._lease_s = LEASE_OF_DETECT * settings.detect_s
        self._period_s = self._lease_s / BEATS_A_LEASE
        self._stop = threading.Event()
        self._left = False
        self._beat = 0
        self._watch = LeaseWatch(-1, 0.0)
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Show from now on that this rank lives."""
        if self._settings.detect_s < self._settings.timeout_s:
            self._thread = threading.Thread(target=self._run, name="fmi-lease", daemon=True)
            self._thread.start()

    def end(self) -> None:
        """Show no more; the job has failed, or this rank leaves."""
        self._stop.set()

    def leave(self) -> None:
        """Say, unless the job has failed, that this rank leaves in good order; end the thread."""
        self._left = not self._stop.is_set()
        self._stop.set()
        if self._thread is not None:
            self._thread.join()

    # -- the thread --------------------------------------------------------------

    def _run(self) -> None:
        while True:
            self._step()
            if self._stop.wait(self._period_s):
                break
        if self._left:
            self._step()

    def _step(self) -> None:
        try:
            self._show()
            if not self._stop.is_set():
                self._look(self.watched)
        except RendezvousError:
            # The waiting thread meets the same trouble and raises it; a short one passes.
            return

    def _show(self) -> None:
        self._beat += 1
        record = {"beat": self._beat, "left": self._left}
        rank = self._settings.rank
        self._store.keep(self._name(rank), seal(self._settings.secret, self._name(rank), record))

    def _look(self, peer: int | None) -> None:
        if peer is None:
            self._watch = LeaseWatch(-1, 0.0)
            return
        if self._watch.peer != peer:
            self._watch = LeaseWatch(peer, 2 * self._period_s)
        name = self._name(peer)
        record = unseal(self._settings.secret, name, self._store.read(name)) or {}
        quiet_s = self._watch.quiet_s(int(record.get("beat", 0)), time.monotonic())
        if quiet_s >= self._lease_s and not record.get("left") and self.watched == peer:
            self._tell(peer)

    def _tell(self, peer: int) -> None:
        lost = FailureReport("lost", peer, f"it has shown no sign of life for {self._lease_s:g} s")
        item = seal(self._settings.secret, "alarm", lost.message())
        self._store.ring(self._epoch, self._settings.size, item)
        self._stop.set()

    def _name(self, rank: int) -> str:
        return f"{self._epoch}/lease-{rank}"


class LeaseWatch:
    """How long one rank's number has stood still, as far as this rank has looked.

    Args:
        peer: whose number.
        gap_s: what a pause between two looks counts at most; this rank may have been frozen.
    """

    def __init__(self, peer: int, gap_s: float) -> None:
        self.peer = peer
        self._gap_s = gap_s
        self._beat = -1
        self._quiet_s = 0.0
        self._looked = 0.0

    def quiet_s(self, beat: int, now: float) -> float:
        """Take in a look at monotonic time `now`; return for how long the number stood still."""
        if beat > self._beat:
            self._beat, self._quiet_s = beat, 0.0
        else:
            self._quiet_s += min(now - self._looked, self._gap_s)
        self._looked = now
        return self._quiet_s
