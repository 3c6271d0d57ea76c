"""The tuner's model against real runs of the local stack."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pytest

from cosmic.contracts.status import State
from cosmic.costs.measured import from_metrics
from cosmic.costs.platform import local_stack
from cosmic.costs.predict import Configuration, Job, predict

from .conftest import PER_PARTITION

if TYPE_CHECKING:
    from .conftest import Cosmic

ROWS = 1000

# The machine is shared while tests run: these bounds catch a wrong formula, not a wrong percentage.
COMPUTE_FACTOR = 2.0
WALL_FACTOR = 4.0


def metrics_of(cosmic: Cosmic, rows: int, world_size: int) -> dict[str, Any]:
    run = cosmic.drop(cosmic.manifest(inference={"world_size": world_size, "limit_rows": rows}))
    assert run.wait().state is State.SUCCEEDED
    found: dict[str, Any] = json.loads(run.object("metrics.json"))
    return found


@pytest.mark.parametrize("world_size", [2, pytest.param(4, marks=pytest.mark.long)])
def test_one_run_predicts_others_of_other_sizes(cosmic: Cosmic, world_size: int) -> None:
    cold = metrics_of(cosmic, 64, world_size)
    assert from_metrics(cold, "cold").init_s
    small = metrics_of(cosmic, 256, 2)
    measured = from_metrics(small, "a warm run")
    machine = local_stack(float(os.cpu_count() or 1), measured.launch_s)
    memory_mb = small["ranks"][0]["memory_mb"]
    found = metrics_of(cosmic, ROWS, world_size)
    how = Configuration(memory_mb, world_size, 64, PER_PARTITION)
    expected = predict(Job(ROWS, cold=False), how, measured, machine)
    busy_s = sum(r["compute_cpu_s"] for r in found["ranks"])
    contention = machine.contention(world_size, 1)
    assert expected.compute_s / contention == pytest.approx(busy_s, rel=COMPUTE_FACTOR - 1)
    assert 1 / WALL_FACTOR < found["run"]["wall_s"] / expected.wall_s < WALL_FACTOR
    reads = sum(r["s3_reads"] for r in found["ranks"])
    by_item = {line.item: line for line in expected.lines}
    asked = int(by_item["S3 reads"].formula.split()[0])
    assert asked == pytest.approx(reads + 2 * world_size, rel=0.6)
