"""What a rank is asked to do."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, ConfigDict

from cosmic.contracts.failure_note import FailureNote
from cosmic.contracts.layout import RunFolder
from cosmic.contracts.plan import PlanPart
from cosmic.storage.interfaces import Writable
from cosmic.storage.run_store import RunStore


class RankTask(BaseModel):
    """What the state machine asks of a rank.

    Attributes:
        failure: That it failed for good: then the others are told of it, and nothing else is done.
    """

    model_config = ConfigDict(frozen=True)

    bucket: str
    prefix: str
    run: str
    rank: int
    attempt: int = 0
    queued_at: datetime | None = None
    failure: FailureNote | None = None

    @property
    def folder(self) -> RunFolder:
        """The run's folder."""
        return RunFolder(self.bucket, self.prefix, self.run)


def read_plan(task: RankTask, store: Writable) -> PlanPart:
    """Read what a task's rank needs of the plan of its run.

    Raises:
        InputError: there is none, it can't be read, or it has no such rank.
        TransientError: S3 failed.
    """
    return RunStore(store, task.folder).part(task.rank)
