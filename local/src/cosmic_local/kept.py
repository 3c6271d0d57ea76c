"""What outlives a stack: recorded while it runs, restored when the next one starts."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from cosmic_local.durable.documents import Document, PendingEvents
from cosmic_local.durable.folder import DataFolder
from cosmic_local.emulator import Functions
from cosmic_local.errors import UnknownFunction
from cosmic_local.moto_memory import Memory, Saving
from cosmic_local.template.intrinsics import Place


class Kept:
    """A stack's data in a folder.

    Attributes:
        events: The events that are accepted and not done with.
    """

    def __init__(self, data: DataFolder, place: Place) -> None:
        self.events = PendingEvents(data)
        self._memory = Memory(data, place.account, place.region)

    @contextlib.contextmanager
    def recording(self, app: Any) -> Iterator[Any]:
        """Keep what the emulator's application changes, until the block ends; the application."""
        with self._memory.recording():
            yield Saving(app, self._memory)

    def restore(self, functions: Functions) -> None:
        """Go on where an earlier stack ended.

        Its executions that had not ended are `ABORTED`, and EventBridge's notice says so to
        whom it concerns; events that were not done with are delivered again, as Lambda does.

        Raises:
            DataError: a file is damaged.
        """
        pending = self.events.read()
        for notice in self._memory.restore():
            functions.notice(notice)
            self._memory.settle(notice)
        for event in pending:
            self._deliver(functions, event)

    def _deliver(self, functions: Functions, event: Document) -> None:
        payload = event["payload"].encode()
        with contextlib.suppress(UnknownFunction):  # The template has changed since.
            functions.events.submit(
                event["function"], payload, event["source"], event["request_id"]
            )
