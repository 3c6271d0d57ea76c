"""What a rank is asked to do."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, ConfigDict, ValidationError

from cosmic.contracts.layout import RunFolder
from cosmic.contracts.plan import Plan, parse_plan
from cosmic.errors import InputError
from cosmic.storage.objects import Store


class RankTask(BaseModel):
    """What the state machine asks of a rank."""

    model_config = ConfigDict(frozen=True)

    bucket: str
    prefix: str
    run: str
    rank: int
    attempt: int = 0
    queued_at: datetime | None = None

    @property
    def folder(self) -> RunFolder:
        """The run's folder."""
        return RunFolder(self.bucket, self.prefix, self.run)


def read_plan(task: RankTask, store: Store) -> Plan:
    """Read the plan of a task's run.

    Raises:
        InputError: there is none, it can't be read, or it has no such rank.
        TransientError: S3 failed.
    """
    text = store.get(task.folder.plan)
    try:
        plan = parse_plan(text)
    except ValidationError as error:
        raise InputError(f"{task.folder.plan.uri} is no plan: {error}", code="bad-plan") from error
    if not 0 <= task.rank < plan.world_size:
        message = f"rank {task.rank} is out of range: the run has {plan.world_size} ranks"
        raise InputError(message, code="bad-rank")
    return plan
