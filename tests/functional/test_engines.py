"""Engines in a rank: the demo's galaxies give the same catalogue with each, and a model is kept."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from cosmic.contracts.catalogue_schema import quantiles_of, table_of
from cosmic.contracts.engines import ENGINES
from cosmic.contracts.layout import RunFolder
from cosmic.contracts.location import Location
from cosmic.contracts.manifest import Data, Inference, Manifest, Model
from cosmic.contracts.plan import Plan, make_plan
from cosmic.contracts.quantiles import QUANTILES
from cosmic.contracts.shard import read_shard
from cosmic.data.synth.dataset import Sample, write_dataset
from cosmic.planning.inputs import RunInputs, inspect_inputs
from cosmic.ranks.environment import RankEnvironment
from cosmic.ranks.run_rank import run_rank
from cosmic.ranks.task import RankTask
from cosmic.storage.objects import Store

CHECKPOINT = Path(__file__).parents[2] / "models/tiny/astromae-tiny.safetensors"
OBJECTS, PER_PARTITION = 160, 100
TOLERANCE = 2e-5


@pytest.fixture(scope="module")
def galaxies(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The first of the demo's held-out galaxies."""
    sample = Sample("catalog", objects=OBJECTS, split="test")
    return write_dataset(tmp_path_factory.mktemp("galaxies"), sample, PER_PARTITION)


@pytest.fixture
def found(store: Store, bucket: str, galaxies: list[Path]) -> RunInputs:
    for path in galaxies:
        store.upload(path, Location(bucket, f"d/{path.name}"))
    for name in ("m", "again"):
        store.upload(CHECKPOINT, Location(bucket, name))
    data, model = Data(uri=f"s3://{bucket}/d/"), Model(uri=f"s3://{bucket}/m")
    return inspect_inputs(store, data, model)


@pytest.fixture
def function(store: Store) -> RankEnvironment:
    environment = {"AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "1769"}
    return RankEnvironment.from_environment(environment, store, secrets=None)  # type: ignore[arg-type]


def plan_with(found: RunInputs, bucket: str, engine: str) -> Plan:
    assert found.model
    assert not found.problems
    manifest = Manifest(
        version=1,
        job="demo",
        model=Model(uri=f"s3://{bucket}/m"),
        data=Data(uri=f"s3://{bucket}/d/"),
        inference=Inference.model_validate({"engine": engine}),
    )
    return make_plan(
        f"demo-{engine}", manifest, found.model, found.partitions, world_size=1, channel="none"
    )


def catalogue(store: Store, bucket: str, function: RankEnvironment, plan: Plan) -> pa.Table:
    folder = RunFolder(bucket, "runs/", plan.run)
    store.put(folder.plan, plan.model_dump_json().encode())
    task = RankTask(bucket=bucket, prefix="runs/", run=plan.run, rank=0)
    record = run_rank(task, function, deadline=float("inf"))
    assert record.engine == plan.engine
    return table_of(read_shard(store.get(folder.shard(0, 1)), None))


def test_every_engine_gives_the_demos_catalogue(
    store: Store, bucket: str, function: RankEnvironment, found: RunInputs
) -> None:
    tables = {
        name: catalogue(store, bucket, function, plan_with(found, bucket, name)) for name in ENGINES
    }
    reference = tables.pop("torch")
    assert reference.num_rows == OBJECTS
    z = reference["z_phot"].to_numpy()
    for name, table in tables.items():
        assert np.all(np.abs(table["z_phot"].to_numpy() - z) <= TOLERANCE * (1 + z)), name
        error, expected = (t["z_phot_err"].to_numpy() for t in (table, reference))
        np.testing.assert_allclose(error, expected, rtol=0, atol=1e-3)
        quantiles, others = (quantiles_of(t) for t in (table, reference))
        near = np.isclose(quantiles, others, rtol=0, atol=1e-3).all(axis=1)
        assert near.mean() > 0.99, f"{name}: but for objects at the edge of a cell of p(z)"
        inexact = ("z_phot", "z_phot_err", *QUANTILES)
        rest = [n for n in table.column_names if n not in inexact]
        assert table.select(rest).equals(reference.select(rest)), name


def test_a_warm_environment_keeps_a_model_by_its_checksum(
    store: Store, bucket: str, function: RankEnvironment, found: RunInputs
) -> None:
    plan = plan_with(found, bucket, "openvino")
    engine = function.engine(plan)
    reads = store.requests.reads
    elsewhere = plan.model.model_copy(update={"key": "again"})
    assert function.engine(plan.model_copy(update={"model": elsewhere})) is engine
    assert store.requests.reads == reads
    assert function.engine(plan.model_copy(update={"batch_size": 32})) is not engine
    assert store.requests.reads == reads + 1
