"""The figures of a finished run: who computed nothing of their own, who shared cores."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from cosmic.costs.counts import Configuration, Job
from cosmic.costs.measured import from_metrics
from cosmic.costs.platform import LAMBDA, local_stack
from cosmic.costs.predict import predict
from cosmic.costs.simulated_platform import Ceilings
from cosmic.costs.simulated_ranks import Chance
from cosmic.costs.simulation import simulate
from cosmic.errors import InvalidInput
from report_support.samples import sample_record

ROWS = 90
RUN: dict[str, Any] = {
    "batch_size": 8,
    "model_bytes": 1000,
    "engine": "openvino",
    "precision": "float32",
    "rows": 2 * ROWS,
    "wall_s": 60.0,
    "aggregate_s": 0.5,
}


def measured(*changes: dict[str, Any]) -> dict[int, float]:
    draw = np.random.default_rng(1)
    ranks = [
        {**sample_record(rank, len(changes), ROWS, draw).model_dump(mode="json"), **change}
        for rank, change in enumerate(changes)
    ]
    return from_metrics({"run": RUN, "ranks": ranks}, "a run").rows_per_s


ALL_GIVEN = {"rows_given": ROWS, "compute_s": 0.0, "compute_cpu_s": 0.0}


def test_a_rank_whose_rows_others_computed_says_nothing_of_the_rate() -> None:
    own = {"compute_cpu_s": 3.0}
    assert measured(own, ALL_GIVEN) == measured(own) == {8: ROWS / 3.0}


def test_rows_that_others_computed_are_not_in_the_rate() -> None:
    assert measured({"rows_given": 60, "compute_cpu_s": 1.0}) == {8: 30.0}


def test_a_run_that_measured_nothing_is_refused() -> None:
    with pytest.raises(InvalidInput, match="no rank has rows that it computed itself"):
        measured(ALL_GIVEN)


INIT_S, LOAD_S, END_S, LAUNCH_S, ROWS_PER_S = 0.5, 0.7, 0.05, 1.5, 200.0
ONE_RANK_AFTER_ANOTHER_S = 0.01


def finished(ranks: int, cores: float, *, processor: bool = True) -> dict[str, Any]:
    """The `metrics.json` of a run whose ranks were all cold and shared so many cores.

    Args:
        processor: Whether records have the processor's time; those of earlier versions have
            only that of the model.
    """
    draw, slower = np.random.default_rng(1), max(1.0, ranks / cores)
    compute_s = ROWS * slower / ROWS_PER_S
    records = []
    for rank in range(ranks):
        began_s = 1e9 + rank * ONE_RANK_AFTER_ANOTHER_S
        started_s = began_s + INIT_S * slower
        loaded_s = started_s + LOAD_S * slower
        record = sample_record(rank, ranks, ROWS, draw).model_dump(mode="json") | {
            "cold_start": True,
            "started_at_s": started_s,
            "model_loaded_at_s": loaded_s,
            "inferred_at_s": loaded_s + compute_s,
            "finished_at_s": loaded_s + compute_s + END_S * slower,
            "init_s": INIT_S * slower,
            "compute_s": compute_s,
            "compute_cpu_s": compute_s / slower,
            "bytes_read": ROWS * 20_568,
        }
        if processor:
            cpu_s = LOAD_S + ROWS / ROWS_PER_S + END_S
            record |= {"init_cpu_s": INIT_S, "load_cpu_s": LOAD_S, "cpu_s": cpu_s}
        records.append(record)
    span_s = max(r["finished_at_s"] for r in records) - 1e9
    wall_s = LAUNCH_S + span_s + RUN["aggregate_s"]
    run = RUN | {"rows": ranks * ROWS, "wall_s": wall_s, "model_bytes": 1_000_000}
    return {"run": run, "ranks": records}


@pytest.mark.parametrize("processor", [True, False])
@pytest.mark.parametrize("cores", [0.5, 1.0, 2.0, 16.0])
@pytest.mark.parametrize("ranks", [1, 2, 4, 8, 16])
def test_the_sharing_of_cores_is_counted_once(ranks: int, cores: float, processor: bool) -> None:
    """A run is simulated as it was from its own figures, however many ranks shared a core."""
    document = finished(ranks, cores, processor=processor)
    found = from_metrics(document, "a run")
    assert found.init_s == pytest.approx(INIT_S)
    assert found.load_s == pytest.approx(LOAD_S)
    assert found.around_s == pytest.approx(END_S)
    assert found.launch_s == pytest.approx(LAUNCH_S)
    assert found.rows_per_s == {8: pytest.approx(ROWS_PER_S)}
    job = Job(ranks * ROWS, found.row_bytes, partitions=(ROWS,) * ranks)
    how = Configuration(1769, ranks, 8, ROWS)
    stack = local_stack(cores, found.launch_s)
    for said in (
        simulate(job, how, found, stack, Ceilings(), Chance()),
        predict(job, how, found, stack),
    ):
        assert said.wall_s == pytest.approx(document["run"]["wall_s"], rel=0.1)


def test_a_rank_with_less_than_a_core_is_slowed_down_once() -> None:
    """Lambda gives a function of 1,024 MB 0.58 cores: it takes as long again as it took."""
    share = 1024 / 1769
    document = finished(1, share)
    document["ranks"][0]["memory_mb"] = 1024
    found = from_metrics(document, "a run")
    job = Job(ROWS, found.row_bytes, partitions=(ROWS,))
    platform = replace(LAMBDA, launch_s=found.launch_s)
    said = predict(job, Configuration(1024, 1, 8, ROWS), found, platform)
    assert said.wall_s == pytest.approx(document["run"]["wall_s"], rel=0.05)


def test_waiting_for_anything_but_the_processor_is_no_sharing() -> None:
    document = finished(1, 1.0)
    record = document["ranks"][0]
    record["init_s"] += 2.0
    record["started_at_s"] += 2.0
    for name in ("model_loaded_at_s", "inferred_at_s", "finished_at_s"):
        record[name] += 2.0
    assert from_metrics(document, "a run").init_s == pytest.approx(INIT_S + 2.0)
