"""The ranks of a prediction, one after another in this process, each with all cores."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from cosmic.contracts.plan import Plan
from cosmic.contracts.vcpus import MB_PER_VCPU
from cosmic.model.engine import Engine
from cosmic.ranks.environment import RankEnvironment, process_age_s
from cosmic.ranks.run_rank import run_rank
from cosmic.ranks.session import Messaging
from cosmic.ranks.task import RankTask
from cosmic.storage.run_store import RunStore

SHARD_ROWS = 4096
MOST_SHARDS = 1000


def shards_for(rows: int, shard_rows: int) -> int:
    """How many shards rows are written in: a stop costs one of them."""
    return max(1, min(MOST_SHARDS, math.ceil(rows / shard_rows)))


def predict_shards(
    run: RunStore,
    plan: Plan,
    engine: Callable[[], Engine],
    threads: int,
    folder: Path,
    seen: Callable[[int], None],
) -> None:
    """Predict all rows of a plan that no shard holds yet.

    A shard counts if it has the checksum that its record gives; others are computed again.

    Args:
        run: Where shards and records are.
        plan: Its plan, whose ranks don't talk to each other.
        engine: Makes the one that the plan names, of so many threads; called if it is needed.
        threads: Of the engine.
        folder: The working folder.
        seen: Called with the rows that are done, again and again.

    Raises:
        InputError: the model or a partition is not what was planned.
    """
    whole = run.whole_ranks(plan.world_size)
    done = sum(rank.rows for rank in plan.ranks if rank.rank in whole)
    seen(done)
    memory_mb = threads * MB_PER_VCPU  # of a function with as many: what the bill is made for
    environment = RankEnvironment(
        run.objects, Messaging(), memory_mb, process_age_s(), time.time(), baked=folder
    )
    missing = [rank for rank in plan.ranks if rank.rank not in whole]
    if missing:
        environment.keep(engine())
    for rank in missing:
        task = RankTask(**asdict(run.folder), rank=rank.rank)
        run_rank(task, environment, math.inf, _after(done, seen))
        done += rank.rows


def _after(done: int, seen: Callable[[int], None]) -> Callable[[int], None]:
    """The same, called with a rank's rows alone."""
    return lambda rows: seen(done + rows)
