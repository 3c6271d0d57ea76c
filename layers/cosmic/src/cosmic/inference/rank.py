"""One rank of a run: model, rows, predictions, shard, the others, record."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict, ValidationError

from cosmic.catalogue import SCHEMA, rows_to_table
from cosmic.collective import Joint, Messaging, close_together
from cosmic.errors import CommunicationError, InputError
from cosmic.inference.checkpoint import load_checkpoint
from cosmic.inference.engine import Engine, Predictions, threads_for_memory
from cosmic.merge import write_gathered
from cosmic.partitions.stream import Block, BlockReader
from cosmic.plan import Plan, PlannedModel, parse_plan
from cosmic.record import RankRecord
from cosmic.runs import RunFolder
from cosmic.statistics import Statistics
from cosmic.store import Location, Requests, Store

if TYPE_CHECKING:
    from types_boto3_secretsmanager import SecretsManagerClient

RESERVE_S = 10.0


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


@dataclass
class Function:
    """The execution environment: what outlives an invocation.

    Attributes:
        init_s: Age of the process when it was ready for its first invocation.
    """

    store: Store
    messaging: Messaging
    memory_mb: int
    init_s: float
    ready_at_s: float
    invocations: int = 0
    _engines: dict[str, Engine] = field(default_factory=dict)

    @classmethod
    def from_environment(
        cls, environment: Mapping[str, str], store: Store, secrets: SecretsManagerClient
    ) -> Self:
        """Read `AWS_LAMBDA_FUNCTION_MEMORY_SIZE` and the `FMI_*` variables."""
        memory_mb = int(environment["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"])
        messaging = Messaging.from_environment(environment, secrets)
        return cls(store, messaging, memory_mb, _process_age_s(), time.time())

    def engine(self, model: PlannedModel) -> Engine:
        """The engine of a checkpoint: kept by checksum while the environment is warm.

        Raises:
            InputError: the checkpoint is gone, or is not the one that was planned.
        """
        if model.sha256 not in self._engines:
            data = self.store.get(Location(model.bucket, model.key))
            checkpoint = load_checkpoint(data, model.sha256)
            self._engines = {model.sha256: Engine(checkpoint, threads_for_memory(self.memory_mb))}
            self._engines[model.sha256].warm_up()
        return self._engines[model.sha256]


@dataclass
class Progress:
    """What a rank has counted so far."""

    statistics: Statistics = field(default_factory=Statistics.none)
    rows: int = 0
    rows_flagged: int = 0
    compute_s: float = 0.0

    def facts(self) -> dict[str, Any]:
        """The record's fields about the rows."""
        return {
            "rows": self.rows,
            "rows_flagged": self.rows_flagged,
            "compute_s": self.compute_s,
        }


def run_rank(task: RankTask, function: Function, deadline: float) -> RankRecord:
    """Do one rank's part of a run and write its shard and its record.

    Args:
        task: Which rank of which run.
        function: The environment it runs in.
        deadline: When the function ends, on the clock of `time.monotonic`.

    Raises:
        InputError: the model or a partition is not what was planned, or time ran out.
        TransientError: S3 failed.
    """
    invocation = Invocation.begin(function)
    plan = _read_plan(task, function.store)
    engine = function.engine(plan.model)
    invocation.mark("model_loaded_at_s")
    reader = BlockReader(function.store, plan.partitions, plan.batch_size)
    with TemporaryDirectory() as scratch:
        path = Path(scratch) / "shard.parquet"
        progress = infer_rows(plan, task.rank, engine, reader, path, deadline)
        invocation.mark("inferred_at_s")
        function.store.upload(path, task.folder.shard(task.rank, plan.world_size))
        shard = path.read_bytes()
    invocation.mark("written_at_s")
    closing = _close(task, plan, function.messaging, progress.statistics, shard, deadline)
    if closing.joint and task.rank == 0:
        reduced = closing.joint.statistics.summary()
        write_gathered(function.store, task.folder, reduced, closing.joint.shards)
    record = RankRecord(
        rank=task.rank,
        world_size=plan.world_size,
        attempt=task.attempt,
        queued_at_s=task.queued_at.timestamp() if task.queued_at else None,
        shard_sha256=hashlib.sha256(shard).hexdigest(),
        threads=engine.threads,
        **closing.facts(),
        **reader.facts(),
        **progress.facts(),
        **invocation.end(),
    )
    at = task.folder.record(task.rank, plan.world_size)
    function.store.put(at, record.model_dump_json(indent=1).encode(), "application/json")
    return record


@dataclass
class Invocation:
    """One use of the environment: its time stamps and what it took."""

    function: Function
    before: Requests
    cold_start: bool
    at_s: dict[str, float]

    @classmethod
    def begin(cls, function: Function) -> Self:
        """The invocation that begins now."""
        function.invocations += 1
        cold_start = function.invocations == 1
        return cls(function, function.store.requests, cold_start, {"started_at_s": time.time()})

    def mark(self, name: str) -> None:
        """Note that something has just happened."""
        self.at_s[name] = time.time()

    def end(self) -> dict[str, Any]:
        """The record's fields about time, memory and S3; the record's own PUT is counted."""
        self.mark("finished_at_s")
        requests = self.function.store.requests
        return {
            **self.at_s,
            "imported_at_s": self.function.ready_at_s,
            "init_s": self.function.init_s if self.cold_start else 0.0,
            "cold_start": self.cold_start,
            "s3_reads": requests.reads - self.before.reads,
            "s3_writes": requests.writes - self.before.writes + 1,
            "peak_memory_mb": _peak_memory_mb(),
            "memory_mb": self.function.memory_mb,
            "pid": os.getpid(),
        }


def _read_plan(task: RankTask, store: Store) -> Plan:
    text = store.get(task.folder.plan)
    try:
        plan = parse_plan(text)
    except ValidationError as error:
        raise InputError(f"{task.folder.plan.uri} is no plan: {error}", code="bad-plan") from error
    if not 0 <= task.rank < plan.world_size:
        raise InputError(f"rank {task.rank} of a run with {plan.world_size}", code="bad-rank")
    return plan


def infer_rows(
    plan: Plan, rank: int, engine: Engine, reader: BlockReader, shard: Path, deadline: float
) -> Progress:
    """Predict a rank's rows and write them to a shard, block by block."""
    progress = Progress()
    with pq.ParquetWriter(shard, SCHEMA) as writer:
        for block in reader.blocks(plan.ranks[rank].slices):
            predictions = predict_block(block, engine, plan.batch_size, progress, deadline)
            table = rows_to_table(
                block.columns,
                predictions.z_phot,
                predictions.z_phot_err,
                predictions.flags,
                partition=block.partition,
                start=block.start,
            )
            writer.write_table(table)
            progress.rows += block.rows
            progress.rows_flagged += int(np.count_nonzero(predictions.flags))
            if "z_spec" in block.columns:
                progress.statistics += Statistics.of(predictions.z_phot, block.columns["z_spec"])
    return progress


def predict_block(
    block: Block, engine: Engine, batch_size: int, progress: Progress, deadline: float
) -> Predictions:
    """Predict a block batch by batch.

    Raises:
        InputError: the deadline is too near for another batch.
    """
    began = time.monotonic()
    parts = []
    for image, mag in block.batches(batch_size):
        if time.monotonic() > deadline - RESERVE_S:
            raise InputError(
                f"time runs out after {progress.rows} rows",
                code="out-of-time",
                hint="use more ranks (inference.world_size), or more memory for the function",
            )
        parts.append(engine.predict(image, mag))
    progress.compute_s += time.monotonic() - began
    return Predictions(
        np.concatenate([p.z_phot for p in parts]),
        np.concatenate([p.z_phot_err for p in parts]),
        np.concatenate([p.flags for p in parts]),
    )


@dataclass(frozen=True)
class Closing:
    """How the conversation with the other ranks ended."""

    state: str
    joint: Joint | None = None
    error: str | None = None

    def facts(self) -> dict[str, Any]:
        """The record's fields about FMI."""
        return {
            "fmi": self.state,
            "fmi_error": self.error,
            "joined_at_s": self.joint.joined_at_s if self.joint else None,
            "left_at_s": self.joint.left_at_s if self.joint else None,
            "fmi_stats": self.joint.stats if self.joint else {},
        }


def _close(
    task: RankTask,
    plan: Plan,
    messaging: Messaging,
    statistics: Statistics,
    shard: bytes,
    deadline: float,
) -> Closing:
    if plan.channel == "none":
        return Closing("none")
    timeout_s = min(plan.fmi_timeout_s, deadline - RESERVE_S - time.monotonic())
    try:
        joint = close_together(
            messaging, plan, task.bucket, task.rank, task.attempt, statistics, shard, timeout_s
        )
    except CommunicationError as error:
        return Closing("degraded", error=error.message)
    return Closing("ok", joint)


def _process_age_s() -> float:
    """Seconds since the kernel started this process (proc(5), field 22 of stat)."""
    stat = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    started_s = int(stat[19]) / os.sysconf("SC_CLK_TCK")
    return time.clock_gettime(time.CLOCK_BOOTTIME) - started_s


def _peak_memory_mb() -> int:
    """Largest resident set of this program, MiB (proc(5), VmHWM).

    Not `ru_maxrss`, which survives exec: it would count what the parent held at the fork.
    """
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) // 1024
