"""The tuner's model against real runs of the local stack."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pytest

from cosmic.contracts.plan import parse_plan
from cosmic.contracts.status import State
from cosmic.costs.counts import Counts
from cosmic.costs.measured import from_metrics
from cosmic.costs.platform import local_stack
from cosmic.costs.predict import predict
from cosmic.costs.workload import of_plan

if TYPE_CHECKING:
    from .conftest import Cosmic, Run

ROWS = 1000

# The machine is shared while tests run: these bounds catch a wrong formula, not a wrong percentage.
# Wall time is not among them: how long neighbours hold a core is no property of the model.
COMPUTE_FACTOR = 3.0
READS_FACTOR = 1.6  # small columns may lie near enough to the images to be read with them


def finished(cosmic: Cosmic, rows: int, world_size: int) -> tuple[Run, dict[str, Any]]:
    run = cosmic.drop(cosmic.manifest(inference={"world_size": world_size, "limit_rows": rows}))
    assert run.wait().state is State.SUCCEEDED
    return run, json.loads(run.object("metrics.json"))


@pytest.mark.parametrize("world_size", [2, pytest.param(4, marks=pytest.mark.long)])
def test_one_run_predicts_others_of_other_sizes(cosmic: Cosmic, world_size: int) -> None:
    _, cold = finished(cosmic, 64, world_size)
    assert from_metrics(cold, "cold").init_s
    _, small = finished(cosmic, 256, 2)
    measured = from_metrics(small, "a warm run")
    machine = local_stack(float(os.cpu_count() or 1), measured.launch_s)
    run, found = finished(cosmic, ROWS, world_size)
    plan, memory_mb = parse_plan(run.object("plan.json")), small["ranks"][0]["memory_mb"]
    assert measured.model_sha256 == plan.model.sha256
    job, how = of_plan(plan, memory_mb, cold=False)
    expected = predict(job, how, measured, machine)
    busy_s = sum(r["compute_cpu_s"] for r in found["ranks"])
    contention = machine.contention(world_size, 1)
    assert 1 / COMPUTE_FACTOR < expected.compute_s / contention / busy_s < COMPUTE_FACTOR
    hold_to_the_bill(expected.counts, found["bill"])


def hold_to_the_bill(expected: Counts, bill: dict[str, Any]) -> None:
    billed = {line["item"]: int(line["formula"].split()[0]) for line in bill["lines"][1:]}
    assert billed["Lambda requests"] == expected.invocations
    assert billed["Step Functions"] == expected.transitions
    assert billed["S3 writes and lists"] == expected.s3_puts
    assert 1 / READS_FACTOR < expected.s3_gets / billed["S3 reads"] < READS_FACTOR
