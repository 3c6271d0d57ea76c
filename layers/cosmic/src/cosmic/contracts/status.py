"""`status.json`: what became of a run, and everything that is wrong with it."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from pydantic import Field, TypeAdapter

from cosmic.contracts.manifest import Contract


class State(StrEnum):
    """Where a run is.

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


class Status(Contract):
    """The document.

    Attributes:
        fmi: `ok`, `degraded` (predictions came from shards alone) or `none`.
        missing: What is missing, by rank: its rows and why.
        outputs: Name to S3 URI of everything written for the user.
    """

    version: int = 1
    run: str
    state: State
    manifest: str
    updated_at: str
    execution: str | None = None
    world_size: int | None = None
    rows_in: int | None = None
    rows_out: int | None = None
    rows_flagged: int | None = None
    fmi: str | None = None
    problems: tuple[dict[str, Any], ...] = Field(default=(), strict=False)
    warnings: tuple[str, ...] = Field(default=(), strict=False)
    missing: tuple[dict[str, Any], ...] = Field(default=(), strict=False)
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
