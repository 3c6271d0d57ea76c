"""What the state machine asks of `aggregate`."""

from __future__ import annotations

import json
import math
import os
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Self

from cosmic.contracts.clocks import AWS, THIS_MACHINE
from cosmic.contracts.layout import RunFolder


@dataclass(frozen=True)
class AggregateTask:
    """What the state machine asks of `aggregate`.

    Attributes:
        map_failure: Why the Map as a whole failed, if it did.
        looks: How often the run looked for room and had to wait.
        failed: Whether the execution has failed. It says how a run ended before it fails, unless
            it died of what no state can catch (`States.Runtime`, `States.DataLimitExceeded`).
        began_at_s: When this invocation began, seconds since 1970.
        ends_at_s: When this invocation will be ended, seconds since 1970.
        page: Whether the page is made.
        published_at: Folder in which the user finds the results, where that is not the run's.
        clock: Whose time is billed: `clocks.AWS`, or `clocks.THIS_MACHINE` where S3 is elsewhere.
    """

    folder: RunFolder
    manifest_uri: str
    execution: str
    run_started_at_s: float
    memory_mb: int
    began_at_s: float
    map_failure: dict[str, str] | None = None
    looks: int = 0
    failed: bool = False
    ends_at_s: float = math.inf
    page: bool = True
    published_at: str = ""
    clock: str = AWS

    def place(self, name: str) -> str:
        """Where the user finds a result of this name."""
        return f"{self.published_at}/{name}" if self.published_at else self.folder.at(name).uri

    @classmethod
    def from_event(
        cls, event: dict[str, Any], memory_mb: int, remaining_s: float = math.inf
    ) -> Self:
        """Read the state machine's input, or EventBridge's notice that an execution has ended."""
        failed = event.get("detail", {}).get("status") == "FAILED"
        if "detail" in event:
            event = _input_of_ended(event["detail"])
        run = event["run"]
        return cls(
            folder=RunFolder(run["bucket"], run["prefix"], run["run"]),
            manifest_uri=run["manifest"],
            execution=event["execution"],
            run_started_at_s=datetime.fromisoformat(event["started_at"]).timestamp(),
            memory_mb=memory_mb,
            began_at_s=time.time(),
            map_failure=run.get("failure"),
            looks=run.get("admission", {}).get("looks", 0),
            failed=failed,
            ends_at_s=time.time() + remaining_s,
            clock=THIS_MACHINE if "AWS_ENDPOINT_URL" in os.environ else AWS,
        )


def _input_of_ended(notice: dict[str, Any]) -> dict[str, Any]:
    """What the state machine would have asked, had its execution not ended before."""
    status = notice["status"]
    by_itself = "the execution failed: its history says why"
    cause = by_itself if status == "FAILED" else "the execution was stopped"
    failure = {"Error": notice.get("error") or status, "Cause": notice.get("cause") or cause}
    return {
        "run": {**json.loads(notice["input"]), "failure": failure},
        "execution": notice["executionArn"],
        "started_at": datetime.fromtimestamp(notice["startDate"] / 1000, UTC).isoformat(),
    }
