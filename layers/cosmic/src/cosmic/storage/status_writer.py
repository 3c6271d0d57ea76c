"""Writing a run's status, which only the run's newest execution may."""

from __future__ import annotations

from pydantic import ValidationError

from cosmic.contracts.layout import RunFolder
from cosmic.contracts.location import Location
from cosmic.contracts.status import State, Status, parse_status
from cosmic.storage.interfaces import Writable

BY_INIT = (State.RUNNING, State.REJECTED)


def current_status(store: Writable, at: Location) -> tuple[Status | None, str]:
    """A run's status, if it is there and can be read, and the ETag of what is there."""
    text, etag = store.get_current(at) or (b"", "")
    try:
        return parse_status(text), etag
    except ValidationError:
        return None, etag


class StatusWriter:
    """The status of a run, as one execution finds it and replaces it.

    A run that was stopped may be resumed while `aggregate` still ends its earlier execution. What
    has been written since is therefore never written over.

    Args:
        store: S3.
        folder: The run's.
        execution: ARN of the execution that writes.
    """

    def __init__(self, store: Writable, folder: RunFolder, execution: str) -> None:
        self._store = store
        self._at = folder.status
        self._execution = execution
        self._etag = ""
        self.found = self._read()

    def _read(self) -> Status | None:
        """The status as it is now, if it is there and can be read."""
        found, self._etag = current_status(self._store, self._at)
        return found

    @property
    def successor(self) -> Status | None:
        """The status that was found, if it is of a later execution."""
        found = self.found
        return found if found and found.execution not in (None, self._execution) else None

    @property
    def own_end(self) -> Status | None:
        """The status that was found, if this execution has ended the run with it."""
        found = self.found
        mine = found is not None and found.execution == self._execution and found.state.final
        return found if mine else None

    @property
    def stands(self) -> bool:
        """Whether the status is still the one that was last read or written here."""
        return current_status(self._store, self._at)[1] == self._etag

    def write(self, status: Status) -> bool:
        """Write the status unless another end has been written since it was last read here.

        What `init` says is no end and is replaced. It says it after it has started the execution,
        so perhaps only now: RUNNING, or REJECTED if it was called twice at once.

        Returns:
            Whether it was written; if not, `found` is what is there instead.

        Raises:
            TransientError: S3 failed.
        """
        while not self.amend(status):
            if self.found is None or self.found.state not in BY_INIT or self.successor:
                return False
        return True

    def amend(self, status: Status) -> bool:
        """Write the status that this one wrote before, with more in it, if it is still there.

        What `init` says late is no exception here: once an end is written, a status that runs
        is that of a resumed run, perhaps under the same execution.

        Returns:
            Whether it was written; if not, `found` is what is there instead.

        Raises:
            TransientError: S3 failed.
        """
        etag = self._store.replace(self._at, status.model_dump_json(indent=1).encode(), self._etag)
        if not etag:
            self.found = self._read()
            return False
        self.found, self._etag = status, etag
        return True
