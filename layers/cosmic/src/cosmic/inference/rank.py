"""One rank of a run: model, rows, predictions, shard, the others, record."""

from __future__ import annotations

import hashlib
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from cosmic.collective import Seat
from cosmic.inference.closing import close
from cosmic.inference.function import Function
from cosmic.inference.helping import Helper
from cosmic.inference.invocation import Invocation
from cosmic.inference.line import Line
from cosmic.inference.predicted import Predicted
from cosmic.inference.rows import Work, infer_rows
from cosmic.inference.share import Share
from cosmic.inference.task import RankTask, read_plan
from cosmic.merge import write_gathered
from cosmic.partitions.stream import BlockReader
from cosmic.plan import Plan
from cosmic.record import RankRecord

RESERVE_S = 10.0


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
    stop_by = deadline - RESERVE_S
    plan = read_plan(task, function.store)
    seat = Seat(function.messaging, plan, task.bucket, task.rank, task.attempt)
    with Line.between(seat, _patience_s(plan, stop_by)) as line:
        work, shard = _infer(task, function, plan, line, invocation, stop_by)
        helper = Helper.after(work, BlockReader(function.store, plan.partitions, plan.batch_size))
        statistics = work.progress.statistics
        closing = close(seat, statistics, shard, _patience_s(plan, stop_by), helper)
    if closing.joint and task.rank == 0:
        joint = closing.joint
        write_gathered(function.store, task.folder, joint.statistics, joint.shards)
    closing = closing.and_balance(line.error)
    facts = work.facts()
    facts["bytes_read"] += helper.reader.bytes_read
    record = RankRecord(
        rank=task.rank,
        world_size=plan.world_size,
        attempt=task.attempt,
        queued_at_s=task.queued_at.timestamp() if task.queued_at else None,
        shard_sha256=hashlib.sha256(shard).hexdigest(),
        engine=work.engine.name,
        precision=work.engine.precision,
        threads=work.engine.threads,
        **closing.facts(),
        **facts,
        **helper.facts(),
        **invocation.rates(facts),
        **invocation.end(),
    )
    at = task.folder.record(task.rank, plan.world_size)
    function.store.put(at, record.model_dump_json(indent=1).encode(), "application/json")
    return record


def _infer(
    task: RankTask,
    function: Function,
    plan: Plan,
    line: Line,
    invocation: Invocation,
    stop_by: float,
) -> tuple[Work, bytes]:
    """Predict the rank's rows and write its shard; returns that, too."""
    reader = BlockReader(function.store, plan.partitions, plan.batch_size)
    slices = plan.ranks[task.rank].slices
    with TemporaryDirectory() as scratch, reader.blocks(slices) as blocks:  # comes while it loads
        engine = function.engine(plan)
        invocation.mark("model_loaded_at_s")
        path = Path(scratch) / "shard.parquet"
        share: Share[Predicted] = Share(slices, plan.batch_size)
        work = Work(share, blocks, reader, engine, line, stop_by)
        infer_rows(work, path)
        invocation.mark("inferred_at_s")
        function.store.upload(path, task.folder.shard(task.rank, plan.world_size))
        shard = path.read_bytes()
    invocation.mark("written_at_s")
    return work, shard


def _patience_s(plan: Plan, stop_by: float) -> float:
    """How long to wait for other ranks."""
    return min(plan.fmi_timeout_s, stop_by - time.monotonic())
