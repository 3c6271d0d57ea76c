"""`python -m bench.stream.overlap KEY MODEL BATCH_SIZE ROUNDS`: a process that measures.

Prints how long the same rows take to download alone, to compute alone (all of them in memory), and
together.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterable
from typing import Any

from bench.stream.stage import plan_for
from cosmic.data.stream import Block, BlockReader
from cosmic.ranks.environment import RankEnvironment
from cosmic.ranks.predict import Progress, predicted


def main() -> None:
    """Measure and print one JSON object."""
    key, model, batch_size, rounds = sys.argv[1:]
    print(json.dumps(overlap(key, model, int(batch_size), int(rounds))))


def overlap(key: str, model: str, batch_size: int, rounds: int) -> dict[str, Any]:
    """Seconds of each round, interleaved, so that what else the machine does meets all alike."""
    store, plan, _ = plan_for(key, model, batch_size)
    function = RankEnvironment.from_environment(os.environ, store, secrets=None)  # type: ignore[arg-type]
    engine = function.engine(plan)
    slices = plan.ranks[0].slices
    times: dict[str, list[float]] = {"download": [], "compute": [], "together": [], "wait": []}

    def computed(blocks: Iterable[Block]) -> None:
        for _ in predicted(blocks, engine, Progress(), float("inf")):
            pass

    for _ in range(rounds):
        began = time.monotonic()
        rows = list(BlockReader(store, plan.partitions, batch_size).blocks(slices))
        times["download"].append(time.monotonic() - began)
        began = time.monotonic()
        computed(rows)
        times["compute"].append(time.monotonic() - began)
        del rows
        reader = BlockReader(store, plan.partitions, batch_size)
        began = time.monotonic()
        with reader.blocks(slices) as blocks:
            computed(blocks)
        times["together"].append(time.monotonic() - began)
        times["wait"].append(reader.wait_s)
    return {**times, "requests": store.requests.reads, "bytes": plan.partitions[0].bytes}


if __name__ == "__main__":
    main()
