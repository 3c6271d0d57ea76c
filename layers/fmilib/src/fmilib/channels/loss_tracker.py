"""Which ranks will send nothing more, and why."""

from __future__ import annotations

import time
from collections.abc import Container

from fmilib.links.job_state import JobState

LEFT = "it left without taking part"


class LossTracker:
    """Ranks of a board that are lost or have left.

    Args:
        state: what is known of them.
        patience_s: how long what a lost rank had sent may still be on its way.
    """

    def __init__(self, state: JobState, patience_s: float) -> None:
        self._state = state
        self._patience_s = patience_s
        self._since: dict[int, float] = {}

    def causes(self, found: Container[int]) -> dict[int, str]:
        """Return why nothing more will come, of each rank that isn't in `found`."""
        state, now = self._state, time.monotonic()
        links = {link.peer: link for link in state.links()}
        known = {**dict.fromkeys(state.departed, LEFT), **state.lost}
        known |= {
            peer: LEFT for peer, link in links.items() if link.reader.left and peer not in known
        }
        causes = {}
        for peer, cause in known.items():
            since = self._since.setdefault(peer, now)
            silent = peer not in links or links[peer].reader.left
            late = now - since > self._patience_s
            if peer not in found and (late or (silent and peer in links)):
                causes[peer] = cause
        return causes
