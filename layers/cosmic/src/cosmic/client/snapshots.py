"""Look at a run from outside, again and again, with few requests.

Each look reads the status, asks Step Functions once or twice, lists the ranks' records and failures
and reads a few records. Listings of many pages are made less often, so that there is about one
page per look, and no more than `MOST_RECORDS` records are ever read.
"""

from __future__ import annotations

import re
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from cosmic.client.progress import Progress, Seen, progress_of
from cosmic.client.stack import Stack
from cosmic.contracts.layout import RunFolder
from cosmic.contracts.plan import Plan
from cosmic.contracts.rank_record import RankRecord
from cosmic.contracts.status import Status, parse_status
from cosmic.errors import InputError
from cosmic.storage.aws_errors import AWS_FAILURES, as_cosmic_error
from cosmic.storage.damaged import RESTORE_STATUS, parsed
from cosmic.storage.objects import Store
from cosmic.storage.run_store import RunStore, record_of

PAGE = 1000
RECORDS_A_LOOK = 16
MOST_RECORDS = 256
READERS = 8
RANK = re.compile(r"rank-(\d+)-of-\d+\.json$")
FAILURE = re.compile(r"failures/(\d+)\.json$")


@dataclass(frozen=True)
class Snapshot:
    """A run at one moment.

    Attributes:
        status: Its status; None before `init` has written one.
        progress: How far it has come.
        execution: The execution's state according to Step Functions, or an empty string.
    """

    status: Status | None
    progress: Progress
    execution: str = ""


def execution_arn(stack: Stack, run: str, status: Status | None = None) -> str:
    """The execution of a run: the one that its status names, or the first."""
    if status is not None and status.execution:
        return status.execution
    return stack.pipeline_arn.replace(":stateMachine:", ":execution:") + f":{run}"


def read_status(store: Store, folder: RunFolder) -> Status | None:
    """A run's status; None if there is none.

    Raises:
        InputError: it is damaged, or S3 refuses it.
        TransientError: S3 failed.
    """
    try:
        text = store.get(folder.status)
    except InputError as error:
        if error.code != "not-found":
            raise
        return None
    return parsed(parse_status, text, folder.status, RESTORE_STATUS)


class Observer:
    """Looks at one run."""

    def __init__(self, stack: Stack, folder: RunFolder) -> None:
        self._target, self._folder = stack, folder
        self._store = stack.store()
        self._steps = stack.client("stepfunctions")
        self._plan: Plan | None = None
        self._memory_mb = 0
        self._done: frozenset[int] = frozenset()
        self._failed: frozenset[int] = frozenset()
        self._records: dict[int, RankRecord] = {}
        self._list_again_at = 0.0

    def look(self) -> Snapshot:
        """The run as it is now.

        Raises:
            CosmicError: something can't be read.
        """
        status = read_status(self._store, self._folder)
        if status is None or status.world_size is None:
            return Snapshot(status, progress_of(Seen(status)))
        execution, map_run = self._ask(execution_arn(self._target, self._folder.run, status))
        self._list(status.world_size, final=status.state.final)
        self._read_some(status.world_size)
        began = map_run.get("startDate")
        seen = Seen(
            status,
            self._read_plan(),
            self._done,
            self._failed,
            tuple(self._records.values()),
            map_run.get("itemCounts", {}).get("running", 0),
            began.timestamp() if began else None,
            time.time(),
            self._memory(),
        )
        return Snapshot(status, progress_of(seen), execution)

    def _ask(self, arn: str) -> tuple[str, dict[str, Any]]:
        """The execution's state, and its Map Run once there is one."""
        try:
            state = self._steps.describe_execution(executionArn=arn)["status"]
            runs = self._steps.list_map_runs(executionArn=arn)["mapRuns"]
            if not runs:
                return state, {}
            return state, self._steps.describe_map_run(mapRunArn=runs[0]["mapRunArn"])
        except AWS_FAILURES as error:
            found = as_cosmic_error(f"{arn} can't be looked up", error)
            if found.code == "no-execution":
                return "", {}
            raise found from error

    def _list(self, world_size: int, *, final: bool) -> None:
        now = time.monotonic()
        if now < self._list_again_at and not final:
            return
        self._list_again_at = now + world_size // PAGE * self._target.poll_s
        self._done = self._numbers("records/", RANK)
        self._failed = self._numbers("failures/", FAILURE)

    def _numbers(self, prefix: str, pattern: re.Pattern[str]) -> frozenset[int]:
        found = (pattern.search(o.key) for o in self._store.list(self._folder.at(prefix)))
        return frozenset(int(match[1]) for match in found if match)

    def _read_some(self, world_size: int) -> None:
        most = min(RECORDS_A_LOOK, MOST_RECORDS - len(self._records))
        new = sorted(self._done - self._records.keys())[:most]
        places = [self._folder.record(rank, world_size) for rank in new]
        with ThreadPoolExecutor(READERS) as pool:
            for rank, text in zip(new, pool.map(self._store.get, places), strict=True):
                self._records[rank] = record_of(text, self._folder, rank, world_size)

    def _read_plan(self) -> Plan:
        if self._plan is None:
            self._plan = RunStore(self._store, self._folder).plan()
        return self._plan

    def _memory(self) -> int:
        if not self._memory_mb:
            name = self._target.outputs.get("InferFunctionName", "")
            self._memory_mb = self._target.function(name)["MemorySize"]
        return self._memory_mb
