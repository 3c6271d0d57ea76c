"""How far a run has come, from what a look at it found."""

from __future__ import annotations

from typing import Any

import pytest

from cosmic.client.executions import next_name
from cosmic.client.progress import Seen, progress_of
from cosmic.contracts.plan import Plan, PlannedModel, RankPlan, Slice
from cosmic.contracts.rank_record import RankRecord
from cosmic.contracts.status import State, Status
from cosmic.costs.prices import gb_second, price
from cosmic_cli.views.run import progress_line
from plan_support import small_plan

MODEL = PlannedModel(bucket="b", key="m", etag="e", bytes=1, sha256="0" * 64)


def plan(*rows: int) -> Plan:
    ranks = [
        RankPlan(rank=i, slices=(Slice(partition=i, start=0, stop=n),)) for i, n in enumerate(rows)
    ]
    return small_plan(rows, ranks=tuple(ranks))


def status(state: State = State.RUNNING, world_size: int = 4, rows: int = 100) -> Status:
    return Status(
        run="r", state=state, manifest="m", updated_at="", world_size=world_size, rows_in=rows
    )


def record(rank: int, billed_s: float) -> RankRecord:
    times = dict.fromkeys(("imported_at_s", "model_loaded_at_s", "inferred_at_s"), 0.0)
    counts = dict.fromkeys(("rows", "rows_flagged", "bytes_read", "s3_reads", "s3_writes"), 0)
    facts: dict[str, Any] = {**times, **counts, "first_byte_at_s": None, "queued_at_s": None}
    rates: dict[str, Any] = dict.fromkeys(
        ("download_s", "read_wait_s", "compute_s", "rows_per_s"), 0.0
    )
    return RankRecord(
        rank=rank,
        world_size=4,
        attempt=0,
        cold_start=True,
        started_at_s=0.0,
        written_at_s=0.0,
        finished_at_s=billed_s,
        init_s=0.0,
        shares={},
        peak_memory_mb=1,
        memory_mb=1024,
        engine="torch",
        precision="float32",
        threads=1,
        shard_sha256="",
        pid=1,
        fmi="none",
        **facts,
        **rates,
    )


def test_ranks_add_up_and_failed_ones_that_were_tried_again_count_once() -> None:
    seen = Seen(
        status(),
        plan(10, 20, 30, 40),
        done=frozenset({0, 1}),
        failed=frozenset({1, 2}),
        running=3,
        began_at_s=100.0,
        now_s=110.0,
    )
    found = progress_of(seen)
    assert (found.queued, found.running, found.done, found.failed) == (0, 1, 2, 1)
    assert (found.rows_done, found.rows_per_s) == (30, 3.0)
    assert found.eta_s == pytest.approx(40 / 3)
    assert found.phase == "inferring"


@pytest.mark.parametrize(
    ("seen", "phase"),
    [
        (Seen(None), "waiting for init"),
        (Seen(status()), "waiting for room"),
        (Seen(status(), began_at_s=1.0), "inferring"),
        (Seen(status(), done=frozenset(range(4)), began_at_s=1.0), "merging"),
        (Seen(status(State.PARTIAL), done=frozenset({1}), began_at_s=1.0), "partial"),
    ],
)
def test_the_phase_is_what_the_run_waits_for(seen: Seen, phase: str) -> None:
    assert progress_of(seen).phase == phase


def test_nothing_is_said_of_rates_before_a_rank_is_done() -> None:
    found = progress_of(Seen(status(), plan(25, 25, 25, 25), began_at_s=1.0, now_s=5.0))
    assert (found.rows_per_s, found.eta_s) == (None, None)
    assert "rows/s" not in progress_line(found)


def test_the_cost_so_far_takes_ranks_without_a_record_as_those_with_one() -> None:
    second = gb_second("x86_64").usd
    known = [record(0, 10.0), record(1, 20.0)]
    both = Seen(status(), done=frozenset({0, 1}), records=known, began_at_s=1.0, now_s=1.0)
    four = Seen(status(), done=frozenset(range(4)), records=known, began_at_s=1.0, now_s=1.0)
    more = progress_of(four).usd - progress_of(both).usd
    assert more == pytest.approx(30 * second + 6 * price("state_transition").usd)
    running = Seen(status(), running=1, began_at_s=1.0, now_s=11.0, memory_mb=2048)
    idle = Seen(status(), began_at_s=1.0, now_s=11.0, memory_mb=2048)
    extra = progress_of(running).usd - progress_of(idle).usd
    assert extra == pytest.approx(10 * 2 * second + price("lambda_request").usd)


def test_executions_of_a_run_are_numbered() -> None:
    arn = "arn:aws:states:us-east-1:1:execution:p:"
    assert next_name("a-r2-0123456789ab", f"{arn}a-r2-0123456789ab") == "a-r2-0123456789ab-r1"
    assert next_name("a-0123456789ab", f"{arn}a-0123456789ab-r9") == "a-0123456789ab-r10"
