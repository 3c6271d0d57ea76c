"""What watches over a job beside the data: a control thread, or a store's failure reporter."""

from __future__ import annotations

from typing import Protocol

from fmilib.wire.failure import FailureReport


class FailureReporter(Protocol):
    """Tells all ranks about a failure and knows who is there."""

    def report(self, found: FailureReport) -> None:
        """Tell all ranks of a failure."""
        ...

    def ask_who_is_missing(self, timeout_s: float) -> tuple[int, ...]:
        """Return the ranks that have not come, as far as it is known."""
        ...

    def finish(self) -> None:
        """Let go; this rank leaves."""
        ...
