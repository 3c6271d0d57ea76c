"""A rank's record: when it did what, and what that took.

Its JSON is flat. Who knows a part of it gives that as a typed dictionary, so that the type checker
sees that the parts make a whole record, and that no two say the same.
"""

from __future__ import annotations

from typing import Any, Literal, TypedDict

from pydantic import Field, TypeAdapter

from cosmic.contracts.numerous import Numerous


class ReadingPart(TypedDict):
    """What the reader of the partitions says."""

    bytes_read: int
    download_s: float
    read_wait_s: float
    first_byte_at_s: float | None


class ComputePart(TypedDict):
    """What the model's progress says."""

    rows: int
    rows_flagged: int
    implausible_z_spec: int
    compute_s: float
    compute_cpu_s: float | None


class WorkPart(ReadingPart, ComputePart):
    """What a rank's own rows took, and how many of them others computed."""

    rows_given: int


class HelpPart(TypedDict):
    """What a rank did for others."""

    rows_taken: int
    helped_s: float
    helped_compute_s: float


class MessagesPart(TypedDict):
    """How the conversation with the other ranks ended."""

    fmi: str
    fmi_error: str | None
    joined_at_s: float | None
    left_at_s: float | None
    fmi_stats: dict[str, Any]
    idle_s: float


class RatesPart(TypedDict):
    """Throughput and shares of the wall time until the last prediction."""

    rows_per_s: float
    shares: dict[str, float]


class InvocationPart(TypedDict):
    """The environment's time stamps, memory and requests."""

    started_at_s: float
    imported_at_s: float
    model_loaded_at_s: float
    inferred_at_s: float
    written_at_s: float
    finished_at_s: float
    init_s: float
    init_cpu_s: float | None
    load_cpu_s: float | None
    cpu_s: float | None
    cold_start: bool
    s3_reads: int
    s3_writes: int
    peak_memory_mb: int
    memory_mb: int
    pid: int


class RankRecord(Numerous):
    """What one rank did; times ending in `_at_s` are seconds since 1970 (UTC).

    Attributes:
        attempt: 0 for the first try, counted by the state machine; a try that Lambda refused for
            want of concurrency, and that never ran, counts too.
        shard_sha256: Of the shard's bytes.
        init_s: Age of the process when it was ready for a first invocation; 0 of a warm one.
        init_cpu_s: The processor's time of all its threads until then, and `load_cpu_s` that from
            `started_at_s` to `model_loaded_at_s`; both None: not measured.
        cpu_s: That from `started_at_s` to `finished_at_s`, `load_cpu_s` and `compute_cpu_s` in it.
        implausible_z_spec: Rows whose z_spec can be none, and which therefore is null.
        bytes_read: Of partitions, over the network.
        s3_reads, s3_writes: Requests to S3, as AWS bills them.
        download_s: Time in which at least one range of a partition was on its way.
        read_wait_s: Time the model stood still waiting for rows.
        compute_s: Time inside the model; time in which only some of its threads had a batch counts
            as their share.
        compute_cpu_s: The processor's time of all threads of the process meanwhile; None: not
            measured.
        rows_given: Of `rows`, those that another rank computed for this one.
        rows_taken: Rows of other ranks that this one computed while it waited for them.
        helped_s: Time that these took, reading included; `helped_compute_s` of it in the model.
        idle_s: Time it stood without work from `written_at_s` until all ranks had come, or until
            it gave up waiting for them: `helped_s` is not in it.
        rows_per_s: Rows over the wall time from `started_at_s` to `inferred_at_s`.
        shares: Of the same wall time, those of `download_s`, `read_wait_s` and `compute_s`; they
            overlap, so they don't add up to 1.
        peak_memory_mb: Largest resident set of the process, MiB.
        engine, precision, threads: What ran the model, and how.
        fmi: `ok`, `degraded` (the closing failed, or the moving of rows) or `none`.
        fmi_error: Why it is degraded.
        fmi_stats: Messages, bytes and waits of this rank.
    """

    version: Literal[1] = 1
    rank: int = Field(ge=0)
    world_size: int = Field(ge=1)
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
    init_cpu_s: float | None = None
    load_cpu_s: float | None = None
    cpu_s: float | None = None
    rows: int
    rows_flagged: int
    implausible_z_spec: int = 0
    bytes_read: int
    s3_reads: int
    s3_writes: int
    download_s: float
    read_wait_s: float
    compute_s: float
    compute_cpu_s: float | None = None
    rows_per_s: float
    shares: dict[str, float]
    peak_memory_mb: int
    memory_mb: int
    engine: str
    precision: str
    threads: int
    shard_sha256: str
    pid: int
    rows_given: int = 0
    rows_taken: int = 0
    helped_s: float = 0.0
    helped_compute_s: float = 0.0
    idle_s: float = 0.0
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
