"""One rank of a run: model, rows, predictions, shard, the others, record."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple

from cosmic.contracts.failure_note import FailureNote
from cosmic.contracts.plan import PlanPart
from cosmic.contracts.rank_record import RankRecord
from cosmic.data.stream import BlockReader
from cosmic.ranks.balance.batch_queue import BatchQueue
from cosmic.ranks.balance.channel import BalanceChannel
from cosmic.ranks.balance.helper import Helper
from cosmic.ranks.environment import RankEnvironment
from cosmic.ranks.finish import close
from cosmic.ranks.invocation_stats import InvocationStats
from cosmic.ranks.prediction_block import PredictionBlock
from cosmic.ranks.rows import Work, infer_rows
from cosmic.ranks.session import RankSession, withdrawing_on_failure
from cosmic.ranks.task import RankTask, read_plan
from cosmic.results.collective import write_gathered
from cosmic.storage.run_store import RunStore
from cosmic.storage.scratch import scratch_folder

RESERVE_S = 10.0


class Shard(NamedTuple):
    """A shard that was written: its checksum and, where the plan gathers shards, its bytes."""

    sha256: str
    gathered: bytes


def run_rank(
    task: RankTask,
    environment: RankEnvironment,
    deadline: float,
    seen: Callable[[int], None] = lambda rows: None,
) -> RankRecord:
    """Do one rank's part of a run and write its shard and its record.

    Args:
        task: Which rank of which run.
        environment: The environment it runs in.
        deadline: When the function ends, on the clock of `time.monotonic`.
        seen: Called with the rank's rows that are done, again and again.

    Raises:
        InputError: the model or a partition is not what was planned, or time ran out.
        TransientError: S3 failed.
    """
    invocation = InvocationStats.begin(environment)
    stop_by = deadline - RESERVE_S
    run = RunStore(environment.store, task.folder)
    plan = read_plan(task, environment.store)
    session = RankSession(environment.messaging, plan, task.bucket, task.rank, task.attempt)
    with BalanceChannel.between(session, _patience_s(plan, stop_by)) as channel:
        with withdrawing_on_failure(session):
            work, shard = _infer(task, environment, plan, channel, invocation, stop_by, seen)
        helper = Helper.after(work, _reader(environment, plan))
        statistics = work.progress.statistics
        closing = close(session, statistics, shard.gathered, _patience_s(plan, stop_by), helper)
    if closing.joint and task.rank == 0:
        joint = closing.joint
        write_gathered(run, joint.statistics, joint.shards, plan.id_bytes, plan.model.bands)
    closing = closing.and_balance(channel.error)
    facts = work.facts()
    facts["bytes_read"] += helper.reader.bytes_read
    record = RankRecord(
        rank=task.rank,
        world_size=plan.world_size,
        attempt=task.attempt,
        queued_at_s=task.queued_at.timestamp() if task.queued_at else None,
        shard_sha256=shard.sha256,
        engine=work.engine.name,
        precision=work.engine.precision,
        threads=work.engine.threads,
        **closing.facts(),
        **facts,
        **helper.facts(),
        **invocation.rates(facts),
        **invocation.end(),
    )
    run.write_record(record)
    return record


def withdraw_rank(task: RankTask, environment: RankEnvironment, failure: FailureNote) -> None:
    """Tell the other ranks of one that failed for good and may not have been able to say so itself.

    Raises:
        InputError: there is no plan.
        TransientError: S3 failed.
        fmilib.FmiError: the others could not be told.
    """
    from fmilib.config import MAX_GENERATION  # with all of fmilib, which few ranks need

    plan = read_plan(task, environment.store)
    last = MAX_GENERATION  # no attempt of it follows
    session = RankSession(environment.messaging, plan, task.bucket, task.rank, last)
    session.withdraw(f"it failed for good: {failure.reason}")


def _infer(
    task: RankTask,
    environment: RankEnvironment,
    plan: PlanPart,
    channel: BalanceChannel,
    invocation: InvocationStats,
    stop_by: float,
    seen: Callable[[int], None],
) -> tuple[Work, Shard]:
    """Predict the rank's rows and write its shard."""
    reader = _reader(environment, plan)
    slices = plan.slices
    # The first rows come while the model does; more of them would only take its bandwidth.
    with scratch_folder() as scratch, reader.blocks(slices, ahead=False) as blocks:
        engine = environment.engine(plan, blocks.read_ahead)
        invocation.mark("model_loaded_at_s")
        path = scratch / "shard.npy"
        queue: BatchQueue[PredictionBlock] = BatchQueue(slices, plan.batch_size)
        work = Work(
            queue,
            blocks,
            reader,
            engine,
            channel,
            stop_by,
            plan.check_pixels,
            tolerant=plan.failed_rows_percent > 0,
            seen=seen,
        )
        rows = sum(s.stop - s.start for s in slices)
        infer_rows(work, path, rows, plan.id_bytes, plan.model.bands)
        invocation.mark("inferred_at_s")
        run = RunStore(environment.store, task.folder)
        sha256 = run.write_shard(task.rank, plan.world_size, path)
        shard = Shard(sha256, path.read_bytes() if plan.gather else b"")
    invocation.mark("written_at_s")
    return work, shard


def _reader(environment: RankEnvironment, plan: PlanPart) -> BlockReader:
    source = environment.store.paid_by(plan.request_payer)
    return BlockReader(source, plan.partitions, plan.batch_size)


def _patience_s(plan: PlanPart, stop_by: float) -> float:
    """How long to wait for other ranks."""
    return min(plan.fmi_timeout_s, stop_by - time.monotonic())
