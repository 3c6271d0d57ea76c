"""`status.json`: what became of a run, and everything that is wrong with it."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, TypeAdapter

from cosmic.contracts.contract import Contract
from cosmic.contracts.failure_note import plain_cause


class State(StrEnum):
    """The state of a run.

    `PARTIAL`: rows are missing, but no more than the manifest tolerates.
    """

    REJECTED = "REJECTED"
    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"
    PARTIAL = "PARTIAL"
    FAILED = "FAILED"

    @property
    def final(self) -> bool:
        """Whether nothing more will happen."""
        return self is not State.RUNNING


def _with(**fields: type) -> AfterValidator:
    """An entry must have these fields, of these types."""

    def check(entry: dict[str, Any]) -> dict[str, Any]:
        wrong = [name for name, kind in fields.items() if not isinstance(entry.get(name), kind)]
        if wrong:
            raise ValueError(f"{', '.join(wrong)} must be present and of the right type")
        return entry

    return AfterValidator(check)


def _in_plain_words(problem: dict[str, Any]) -> dict[str, Any]:
    """The state machine's own note of `aggregate`'s failure holds Lambda's JSON as it is."""
    return {**problem, "message": plain_cause(problem["message"])}


ProblemEntry = Annotated[
    dict[str, Any],
    _with(pointer=str, message=str, hint=str, code=str),
    AfterValidator(_in_plain_words),
]
MissingEntry = Annotated[dict[str, Any], _with(rank=int, rows=int, reason=str)]


class Status(Contract):
    """The document.

    Attributes:
        fmi: `ok`, `degraded` (predictions came from shards alone) or `none`.
        missing: What is missing, by rank: its rows and why.
        outputs: Name to S3 URI of everything written for the user.
    """

    version: Literal[1] = 1
    run: str
    state: State
    manifest: str
    updated_at: str
    execution: str | None = None
    world_size: int | None = Field(default=None, ge=1)
    rows_in: int | None = Field(default=None, ge=0)
    rows_out: int | None = Field(default=None, ge=0)
    rows_flagged: int | None = Field(default=None, ge=0)
    fmi: str | None = None
    problems: tuple[ProblemEntry, ...] = Field(default=(), strict=False)
    warnings: tuple[str, ...] = Field(default=(), strict=False)
    missing: tuple[MissingEntry, ...] = Field(default=(), strict=False)
    outputs: dict[str, str] = Field(default_factory=dict)


_ADAPTER = TypeAdapter(Status)


def parse_status(text: bytes) -> Status:
    """Read a status.

    Raises:
        pydantic.ValidationError: the text is not a status of this version.
    """
    return _ADAPTER.validate_json(text)


def utc_now() -> str:
    """The time as UTC ISO 8601 with milliseconds."""
    return utc_time(time.time())


def utc_time(seconds: float) -> str:
    """Seconds since 1970 as UTC ISO 8601 with milliseconds."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
