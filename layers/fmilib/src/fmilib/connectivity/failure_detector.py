"""Signs of life without the rendezvous: ranks that are linked ask each other.

As long as the rendezvous is there it watches all leases, and nobody asks. From its first loss
on, each rank calls the ports of those that it has links to. A frozen process is told from a
cut line: its machine takes the call, and nobody answers.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from fmilib.connectivity import ports
from fmilib.connectivity.path_selection import AddressBook
from fmilib.errors import AuthError
from fmilib.links import handshake
from fmilib.links.handshake import Identity
from fmilib.links.job_state import JobState

LEASE_OF_DETECT = 0.6
PROBES_A_LEASE = 4
MAX_STALL = 1.5


class FailureDetector:
    """Asks this rank's neighbours for signs of life.

    Args:
        state: links and addresses.
        address_book: tells which addresses are beyond doubt.
        identity: returns what this rank proves.
        detect_s: the bound of detection.
        lost: called with a rank that doesn't answer, and why.
    """

    def __init__(
        self,
        state: JobState,
        address_book: AddressBook,
        identity: Callable[[], Identity],
        detect_s: float,
        lost: Callable[[int, str], None],
    ) -> None:
        self._state = state
        self._addresses = address_book
        self._identity = identity
        self._lease_s = detect_s * LEASE_OF_DETECT
        self._lost = lost
        self._reached: set[int] = set()
        self._asking: dict[int, asyncio.Task[None]] = {}
        self.needed = False

    def vouch(self, peer: int) -> None:
        """Take it that a rank's own address leads to it, because this rank got through there."""
        self._reached.add(peer)

    async def run(self) -> None:
        """Ask, from the moment that it is needed."""
        try:
            while True:
                await asyncio.sleep(self._lease_s / PROBES_A_LEASE)
                if self.needed:
                    self._ask_all()
        finally:
            await self._end()

    def _ask_all(self) -> None:
        for peer in [peer for peer, task in self._asking.items() if task.done()]:
            del self._asking[peer]
        for link in self._state.links():
            peer = link.peer
            if peer not in self._asking and peer not in self._state.departed:
                self._asking[peer] = asyncio.create_task(self._ask(peer))

    async def _end(self) -> None:
        tasks = list(self._asking.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _ask(self, peer: int) -> None:
        """Ask one rank; a machine that can't be reached says nothing about it."""
        remote = self._state.addresses.get(peer)
        if remote is None:
            return
        try:
            async with asyncio.timeout(self._lease_s):
                sock = await ports.call(remote)
        except (OSError, TimeoutError):
            return
        began = time.monotonic()
        with sock:
            try:
                async with asyncio.timeout(self._lease_s):
                    await handshake.probe(sock, self._identity(), peer)
                    self.vouch(peer)
            except (OSError, AuthError) as error:
                if isinstance(error, TimeoutError):
                    self._silent(peer, time.monotonic() - began)

    def _silent(self, peer: int, for_s: float) -> None:
        """Count a rank as lost, if it was surely the one asked and this one wasn't asleep."""
        certain = peer in self._reached or peer not in self._addresses.seen
        if certain and for_s < MAX_STALL * self._lease_s and self._state.link(peer):
            self._lost(peer, f"no sign of life for {for_s:.1f} s, asked directly")
