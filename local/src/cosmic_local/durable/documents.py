"""Small things as files of JSON: executions, and events that are not done with."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

from cosmic_local.durable.folder import DataFolder
from cosmic_local.errors import DataError, Stopping

EXECUTIONS, EVENTS = "executions", "events"
Document = dict[str, Any]


class Documents:
    """Documents of one kind in a folder of data."""

    def __init__(self, data: DataFolder, kind: str) -> None:
        self._data, self._kind = data, kind

    def keep(self, name: str, content: Callable[[], Document]) -> None:
        """Write a document as it is now; as `DataFolder.keep`."""
        self._data.keep(self._kind, name, lambda: [json.dumps(content()).encode("ascii")])

    def remove(self, name: str) -> None:
        """Remove a document; as `DataFolder.keep`."""
        self._data.keep(self._kind, name, lambda: None)

    def read(self) -> Iterator[Document]:
        """All documents, in no order.

        Raises:
            DataError: one is damaged.
        """
        for path in self._data.files(self._kind):
            try:
                found: Document = json.loads(path.read_bytes())
            except (OSError, ValueError) as error:
                hint = "remove this file, or give another folder"
                raise DataError(f"{path} is damaged", hint=hint) from error
            yield found


class PendingEvents:
    """Events that were accepted and are not done with: delivered again by the next stack."""

    def __init__(self, data: DataFolder) -> None:
        self._documents = Documents(data, EVENTS)

    def accepted(self, request_id: str, function: str, payload: bytes, source: str) -> None:
        """An event was accepted; as `DataFolder.keep`."""
        document = {"function": function, "payload": payload.decode(), "source": source}
        self._documents.keep(request_id, lambda: {"request_id": request_id, **document})

    def done(self, request_id: str) -> None:
        """An event was served, or failed for good; one that ends with the stack is not done."""
        with suppress(Stopping):
            self._documents.remove(request_id)

    def read(self) -> list[Document]:
        """The events that an earlier stack did not finish."""
        return list(self._documents.read())
