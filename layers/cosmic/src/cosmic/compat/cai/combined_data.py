"""`combined_data.json`: a run in the form that CAI's statistics scripts read.

One object a rank that had rows, under CAI's keys. Where CAI's number is of another kind than any
we measure, the nearest of ours stands under its key: docs/from-cai.md has the table.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from cosmic.contracts.plan import Plan, RankPlan
from cosmic.contracts.rank_record import RankRecord

NAME = "combined_data.json"


def combined_data(plan: Plan, records: Iterable[RankRecord]) -> list[dict[str, Any]]:
    """What CAI's summary step would have put together.

    Args:
        plan: The run's plan.
        records: Of its ranks, in any order; those that are not there are left out.

    Returns:
        JSON objects in the order of the ranks.
    """
    by_rank = {record.rank: (record.compute_s, record.peak_memory_mb) for record in records}
    return [
        _entry(plan, rank, *by_rank[rank.rank])
        for rank in plan.ranks
        if rank.rows and rank.rank in by_rank
    ]


def _entry(plan: Plan, rank: RankPlan, compute_s: float, peak_memory_mb: int) -> dict[str, Any]:
    bits = 8 * sum((s.stop - s.start) * plan.partitions[s.partition].row_bytes for s in rank.slices)
    spent_s = max(compute_s, 1e-9)
    paths = list(dict.fromkeys(_paths(plan, rank)))
    return {
        "total_cpu_time (seconds)": compute_s,
        "total_cpu_memory (MB)": peak_memory_mb,
        "execution_time (seconds/batch)": compute_s * plan.batch_size / rank.rows,
        "num_batches": sum(-(-(s.stop - s.start) // plan.batch_size) for s in rank.slices),
        "batch_size": plan.batch_size,
        "device": "cpu",
        "throughput_bps": bits / spent_s,
        "sample_persec": rank.rows / spent_s,
        "result_path": plan.cai.result_path if plan.cai else plan.run,
        "data_path": paths[0] if len(paths) == 1 else paths,
    }


def _paths(plan: Plan, rank: RankPlan) -> Iterator[str]:
    for piece in rank.slices:
        yield plan.partitions[piece.partition].key
