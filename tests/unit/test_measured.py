"""The figures of a finished run, where some ranks computed nothing of their own."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from cosmic.costs.measured import from_metrics
from cosmic.errors import InvalidInput
from report_support.samples import sample_record

ROWS = 90
RUN = {
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
