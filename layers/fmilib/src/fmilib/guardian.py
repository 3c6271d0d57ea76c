"""What watches over a job beside the data: a control thread, or a store's keeper."""

from __future__ import annotations

from typing import Protocol

from fmilib.verdict import Verdict


class Guardian(Protocol):
    """Tells all ranks of a failure and knows who is there."""

    def report(self, found: Verdict) -> None:
        """Tell all ranks of a failure."""
        ...

    def ask_who_is_missing(self, timeout_s: float) -> tuple[int, ...]:
        """Return the ranks that have not come, as far as it is known."""
        ...

    def finish(self) -> None:
        """Let go; this rank leaves."""
        ...
