"""One run of a deployment: its status, progress, cancellation, resumption and results."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cosmic.client.executions import Resumed, cancel, resume
from cosmic.client.results import download, fetch, read_metrics
from cosmic.client.snapshots import Observer, Snapshot, read_status
from cosmic.client.stack import Stack
from cosmic.client.watch import PATIENCE, Patience, watch
from cosmic.contracts.layout import RunFolder
from cosmic.contracts.status import Status
from cosmic.errors import InputError

PAGE = "report.html"


@dataclass(frozen=True)
class Run:
    """A run that was submitted.

    Every method raises `InputError` if there is no such run or AWS refuses, and
    `TransientError` if AWS fails.

    Attributes:
        stack: The deployment that it runs in.
        folder: The places of its objects.
    """

    stack: Stack
    folder: RunFolder

    @property
    def id(self) -> str:
        """The run's id, `<job>-<12 hex digits>`."""
        return self.folder.run

    @property
    def uri(self) -> str:
        """The URI of the run's `status.json`."""
        return self.folder.status.uri

    def find_status(self) -> Status | None:
        """The status of the run; None as long as `init` has not written one."""
        return read_status(self.stack.store(), self.folder)

    def status(self) -> Status:
        """The status of the run.

        Raises:
            InputError: there is no such run, or `init` has not written a status yet.
        """
        status = self.find_status()
        if status is None:
            hint = "check its id, and --prefix if the manifest has an output.prefix"
            message = f"no run {self.id} under s3://{self.folder.bucket}/{self.folder.prefix}"
            raise InputError(message, code="no-run", hint=hint)
        return status

    def look(self) -> Snapshot:
        """The run as it is now: its status and how far it has come."""
        return Observer(self.stack, self.folder).look()

    def watch(self, patience: Patience = PATIENCE) -> Iterator[Snapshot]:
        """Snapshots of the run until it has its final status.

        Raises:
            TransientError: it makes no progress any more.
        """
        return watch(self.stack, self.folder, patience)

    def wait(self, seen: Callable[[Snapshot], object] = lambda snapshot: None) -> Status:
        """Wait until the run has ended.

        Args:
            seen: Called with each snapshot.

        Returns:
            The final status.

        Raises:
            TransientError: it makes no progress any more.
        """
        for snapshot in self.watch():
            seen(snapshot)
        return self.status()

    def cancel(self) -> str:
        """Stop the run; `aggregate` then merges the existing shards and writes the final status.

        Returns:
            The ARN of the execution that was stopped.

        Raises:
            InputError: it has ended, or has no execution.
        """
        return cancel(self.stack, self.folder, self.status())

    def resume(self) -> Resumed:
        """Compute the missing ranks, and merge again.

        Raises:
            InputError: nothing is missing, the run is still in progress, or it was rejected.
        """
        return resume(self.stack, self.folder, self.status())

    def results(self, into: Path | str = "results") -> Path:
        """Copy catalogue, metrics, page, plan and status to a folder of the run in `into`.

        Returns:
            The folder.

        Raises:
            InputError: the run has no results.
        """
        status = self.status()
        if not status.outputs:
            message = f"{self.id} is {status.state.value} and has no results"
            hint = f"`{self.stack.command('status', self.id)}` says why"
            raise InputError(message, code="not-found", hint=hint)
        return download(self.stack.store(), self.folder, status, Path(into))

    def report(self, into: Path | str = "results") -> Path:
        """Copy the run's page to a folder of the run in `into`.

        Returns:
            The page's file.

        Raises:
            InputError: the run has no page.
        """
        status = self.status()
        if PAGE not in status.outputs:
            message = f"{self.id} is {status.state.value} and has no {PAGE}"
            hint = f"`{self.stack.command('status', self.id)}` shows what exists"
            raise InputError(message, code="no-report", hint=hint)
        return fetch(self.stack.store(), self.folder, [PAGE], Path(into)) / PAGE

    def metrics(self) -> dict[str, Any]:
        """What `metrics.json` says of the redshifts, the run and its bill.

        Raises:
            InputError: the run has none (yet), or they are damaged.
        """
        return read_metrics(self.stack.store(), self.folder)

    def cost(self) -> dict[str, Any]:
        """The bill in `metrics.json`: `usd`, `usd_per_million_rows`, `lines`, `prices`.

        Raises:
            InputError: the run has none (yet); `look` says what has been used so far.
        """
        bill: dict[str, Any] = self.metrics()["bill"]
        return bill
