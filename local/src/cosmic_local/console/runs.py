"""The runs of a bucket as the console shows them: the newest, each read once it has ended.

Step Functions has all runs' names and dates in one answer, so that of many runs only those on the
page are read. What has ended and has not changed for a minute is kept: it can change only by a new
execution, whose name differs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pydantic import ValidationError

from cosmic.client.list_runs import RESUMED
from cosmic.contracts.layout import RunFolder
from cosmic.contracts.status import Status, parse_status
from cosmic.errors import CosmicError, InputError
from cosmic.storage.aws_errors import translated
from cosmic.storage.objects import Store
from cosmic_local.console.described import describe_run

NEWEST = 50
READERS = 8
SETTLED_S = 60.0  # a status is written again with the page, for which aggregate takes 60 s at most


@dataclass(frozen=True)
class _Execution:
    """A run's latest execution."""

    name: str
    began: datetime
    running: bool


class RunList:
    """The runs under some prefixes.

    Args:
        clients: Gives a boto3 client of a service.
        bucket: The data bucket.
        prefixes: Where results may lie.
        pipeline_arn: The state machine; empty where there is none.
    """

    def __init__(
        self,
        clients: Callable[[str], Any],
        bucket: str,
        prefixes: tuple[str, ...],
        pipeline_arn: str = "",
    ) -> None:
        self._clients, self._bucket, self._prefixes = clients, bucket, prefixes
        self._pipeline_arn = pipeline_arn
        self.store = Store(clients("s3"))
        self._settled: dict[tuple[RunFolder, str], dict[str, Any]] = {}  # one step each: no lock

    def page(self, first: int = 0, most: int = NEWEST) -> dict[str, Any]:
        """Some runs, the newest first, as JSON; one whose status can't be read is not among them.

        Args:
            first: How many newer ones are left out.
            most: How many are described.
        """
        executions = self._executions()
        folders = list(self._folders())
        undated = [folder for folder in folders if folder.run not in executions]
        with ThreadPoolExecutor(READERS) as pool:
            read = zip(undated, pool.map(lambda f: self._run(f, None), undated), strict=True)
            dates = {folder: _date(run["updated_at"]) for folder, run in read if run}
            began = {f: executions[f.run].began for f in folders if f.run in executions}
            dates |= began
            order = sorted(dates, key=lambda f: (dates[f], f.run), reverse=True)
            shown = order[first : first + most]
            runs = list(pool.map(lambda f: self._run(f, executions.get(f.run)), shown))
        dated = [
            {**run, "began_at": dates[folder].isoformat(timespec="seconds")}
            for folder, run in zip(shown, runs, strict=True)
            if run
        ]
        return {"runs": dated, "first": first, "most": most, "total": len(order)}

    def folder(self, path: str) -> RunFolder | None:
        """The run that `runs/<run>` names; None if it lies under no prefix of these."""
        prefix, _, run = path.rpartition("/")
        known = f"{prefix}/" in self._prefixes and run not in ("", ".", "..")
        return RunFolder(self._bucket, f"{prefix}/", run) if known else None

    def status(self, folder: RunFolder) -> Status | None:
        """A run's status; None if there is none that can be read."""
        try:
            return parse_status(self.store.get(folder.status))
        except (InputError, ValidationError):
            return None

    def _run(self, folder: RunFolder, execution: _Execution | None) -> dict[str, Any] | None:
        key = (folder, execution.name if execution else "")
        if key in self._settled:
            return self._settled[key]
        status = self.status(folder)
        if status is None:
            return None
        found = describe_run(self.store, folder, status)
        still = (datetime.now(UTC) - _date(status.updated_at)).total_seconds() > SETTLED_S
        if status.state.final and still and not (execution and execution.running):
            self._settled[key] = found
        return found

    def _executions(self) -> dict[str, _Execution]:
        """The latest execution of each run; none where Step Functions doesn't know the pipeline."""
        latest: dict[str, _Execution] = {}
        if not self._pipeline_arn:
            return latest
        pages = self._clients("stepfunctions").get_paginator("list_executions")
        listed = pages.paginate(
            stateMachineArn=self._pipeline_arn, PaginationConfig={"PageSize": 1000}
        )
        try:
            with translated("the executions can't be listed"):
                found = [e for page in listed for e in page["executions"]]
        except CosmicError:
            return latest  # the list is then as it is without dates
        for e in sorted(found, key=lambda e: e["startDate"]):
            made = _Execution(e["name"], e["startDate"], e["status"] == "RUNNING")
            latest[RESUMED.sub("", e["name"])] = made
        return latest

    def _folders(self) -> Iterator[RunFolder]:
        pages = self._clients("s3").get_paginator("list_objects_v2")
        for prefix in self._prefixes:
            for page in pages.paginate(Bucket=self._bucket, Prefix=prefix, Delimiter="/"):
                for entry in page.get("CommonPrefixes", []):
                    name = entry["Prefix"].removeprefix(prefix).rstrip("/")
                    yield RunFolder(self._bucket, prefix, name)


def _date(text: str) -> datetime:
    """A time as statuses have it; the oldest if it is none."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return datetime.min.replace(tzinfo=UTC)
    return found if found.tzinfo else found.replace(tzinfo=UTC)
