"""A rank as a process: `python -m bench.balance.rank RUN RANK FACTOR MOVE`; prints its record.

It computes slower by a factor, standing still after each batch; without MOVE no rows move.
"""

from __future__ import annotations

import os
import sys
import time
from typing import Any
from unittest.mock import patch

from bench.stream.stage import BUCKET
from cosmic.model.engine import Engine
from cosmic.model.graph import Array
from cosmic.ranks.balance.channel import BalanceChannel
from cosmic.ranks.environment import RankEnvironment
from cosmic.ranks.run_rank import run_rank
from cosmic.ranks.task import RankTask
from cosmic.storage.objects import Store, s3_client


def main() -> None:
    """Run the rank."""
    run, rank, factor, move = sys.argv[1:]
    redshifts, more = Engine.redshifts, float(factor) - 1

    def slowed(engine: Engine, image: Any, mag: Any) -> Array:
        began = time.monotonic()
        found = redshifts(engine, image, mag)
        time.sleep(more * (time.monotonic() - began))
        return found

    function = RankEnvironment.from_environment(os.environ, Store(s3_client()), secrets=None)  # type: ignore[arg-type]
    task = RankTask(bucket=BUCKET, prefix="runs/", run=run, rank=int(rank))
    between = BalanceChannel.between if move == "True" else lambda *_: BalanceChannel(None, 0.0)
    slow = patch.object(Engine, "redshifts", slowed)
    with slow, patch.object(BalanceChannel, "between", between):
        print(run_rank(task, function, time.monotonic() + 300).model_dump_json())


if __name__ == "__main__":
    main()
