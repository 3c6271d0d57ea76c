"""A model that gives no finite redshift: its run is stopped at the first rows, not at the last."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file, save

from cosmic.contracts.layout import RunFolder
from cosmic.contracts.location import Location
from cosmic.contracts.manifest import Data, Manifest, Model, Tolerate
from cosmic.contracts.plan import make_plan
from cosmic.contracts.shard import read_shard
from cosmic.errors import InputError
from cosmic.planning.inputs import inspect_inputs
from cosmic.ranks.environment import RankEnvironment
from cosmic.ranks.run_rank import run_rank
from cosmic.ranks.task import RankTask
from cosmic.storage.objects import Store

CHECKPOINT = Path(__file__).parents[2] / "models/tiny/astromae-tiny.safetensors"
ROWS = 64


def endless_checkpoint() -> bytes:
    """The tiny model with a last bias beyond all numbers."""
    tensors = load_file(CHECKPOINT)
    tensors["model.concat_block.2.bias"] = np.full(1, np.inf, np.float32)
    with safe_open(CHECKPOINT, "numpy") as file:
        metadata: dict[str, str] = file.metadata()
    return bytes(save(tensors, metadata))


@pytest.mark.parametrize("tolerated_percent", [0.0, 50.0])
def test_it_stops_unless_the_run_may_lack_rows(
    store: Store,
    bucket: str,
    put_partition: Callable[..., Location],
    make_columns: Callable[..., Any],
    tolerated_percent: float,
) -> None:
    put_partition("d/0.safetensors", make_columns(ROWS))
    store.put(Location(bucket, "m"), endless_checkpoint())
    data, model = Data(uri=f"s3://{bucket}/d/"), Model(uri=f"s3://{bucket}/m")
    found = inspect_inputs(store, data, model)
    assert found.model, found.problems
    tolerate = Tolerate(failed_rows_percent=tolerated_percent)
    manifest = Manifest(version=1, job="nan", model=model, data=data, tolerate=tolerate)
    plan = make_plan("r", manifest, found.model, found.partitions, world_size=1, channel="none")
    folder = RunFolder(bucket, "runs/", "r")
    store.put(folder.plan, plan.model_dump_json().encode())
    variables = {"AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "1769"}
    function = RankEnvironment.from_environment(variables, store, secrets=None)  # type: ignore[arg-type]
    task = RankTask(bucket=bucket, prefix="runs/", run="r", rank=0)
    if tolerated_percent:
        assert run_rank(task, function, deadline=float("inf")).rows == ROWS
        rows = read_shard(store.get(folder.shard(0, 1)), None)
        assert np.isnan(rows["z_phot"]).sum() == ROWS
        return
    with pytest.raises(InputError, match="no finite redshift for any of the first") as caught:
        run_rank(task, function, deadline=float("inf"))
    assert caught.value.code == "no-predictions"
    assert not list(store.list(folder.at("shards/")))
