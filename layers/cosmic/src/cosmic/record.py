"""A rank's record: when it did what, and what that took."""

from __future__ import annotations

from typing import Any

from pydantic import Field, TypeAdapter

from cosmic.manifest import Contract


class RankRecord(Contract):
    """What one rank did; times ending in `_at_s` are seconds since 1970 (UTC).

    Attributes:
        attempt: 0 for the first try, counted by the state machine.
        shard_sha256: Of the shard's bytes.
        bytes_read: Of partitions, over the network.
        s3_reads, s3_writes: Requests to S3, as AWS bills them.
        read_wait_s: Time the model stood still waiting for rows.
        compute_s: Time inside the model.
        peak_memory_mb: Largest resident set of the process, MiB.
        fmi: `ok`, `degraded` or `none`.
        fmi_error: Why it is degraded.
        fmi_stats: Messages, bytes and waits of this rank.
    """

    version: int = 1
    rank: int
    world_size: int
    attempt: int
    cold_start: bool
    queued_at_s: float | None
    started_at_s: float
    imported_at_s: float
    model_loaded_at_s: float
    first_byte_at_s: float | None
    inferred_at_s: float
    written_at_s: float
    joined_at_s: float | None = None
    left_at_s: float | None = None
    finished_at_s: float
    init_s: float
    rows: int
    rows_flagged: int
    bytes_read: int
    s3_reads: int
    s3_writes: int
    read_wait_s: float
    compute_s: float
    peak_memory_mb: int
    memory_mb: int
    threads: int
    shard_sha256: str
    pid: int
    fmi: str
    fmi_error: str | None = None
    fmi_stats: dict[str, Any] = Field(default_factory=dict)


_ADAPTER = TypeAdapter(RankRecord)


def parse_record(text: bytes) -> RankRecord:
    """Read a record that a rank wrote.

    Raises:
        pydantic.ValidationError: the text is not a record of this version.
    """
    return _ADAPTER.validate_json(text)
