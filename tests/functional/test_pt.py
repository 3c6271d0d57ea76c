"""`.pt` partitions, made by `torch.save` as CAI makes them, read by range over a real S3 API."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch.utils.data import TensorDataset

from cosmic.contracts.layout import RunFolder
from cosmic.contracts.location import Location
from cosmic.contracts.manifest import Data, Model, parse_manifest
from cosmic.contracts.plan import PlannedPartition, Slice, make_plan
from cosmic.contracts.shard import read_shard
from cosmic.data.stream import BlockReader
from cosmic.planning.inputs import RunInputs, inspect_inputs
from cosmic.ranks.environment import RankEnvironment
from cosmic.ranks.run_rank import run_rank
from cosmic.ranks.task import RankTask
from cosmic.storage.objects import Store

CHECKPOINT = Path(__file__).parents[2] / "models/tiny/astromae-tiny.safetensors"
ROWS = 300


@pytest.fixture
def arrays(make_columns: Callable[..., dict[str, Any]]) -> dict[str, NDArray[Any]]:
    columns = make_columns(ROWS)
    return {
        "image": columns["image"],
        "mag": columns["mag"].astype(np.float64),
        "z_spec": columns["z_spec"],
    }


def saved(content: Any) -> bytes:
    file = io.BytesIO()
    torch.save(content, file)
    return file.getvalue()


def tensors(arrays: dict[str, NDArray[Any]]) -> list[torch.Tensor]:
    return [torch.tensor(a) for a in arrays.values()]


def as_cai_splits(arrays: dict[str, NDArray[Any]]) -> bytes:
    """A chunk of a larger data set, copied through numpy, as a TensorDataset."""
    whole = TensorDataset(*tensors({n: np.concatenate([a, a]) for n, a in arrays.items()}))
    return saved(TensorDataset(*(torch.tensor(t[:ROWS].numpy()) for t in whole.tensors)))


def as_views_of_a_larger_storage(arrays: dict[str, NDArray[Any]]) -> bytes:
    whole = tensors({n: np.concatenate([a[:7], a, a]) for n, a in arrays.items()})
    return saved(TensorDataset(*(t[7 : 7 + ROWS] for t in whole)))


def as_permuted_images(arrays: dict[str, NDArray[Any]]) -> bytes:
    """Height, width, band in the file: what torch keeps of images that were permuted."""
    image, mag, z = tensors(arrays)
    image = torch.tensor(image.permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2).numpy())
    assert image.stride()[1] == 1
    return saved(TensorDataset(image, mag, z))


def as_dict(arrays: dict[str, NDArray[Any]]) -> bytes:
    image, mag, z = tensors(arrays)
    return saved({"redshift": z[:, None], "image": image, "magnitude": mag})


def as_newer_pickle(arrays: dict[str, NDArray[Any]]) -> bytes:
    file = io.BytesIO()
    torch.save(TensorDataset(*tensors(arrays)), file, pickle_protocol=4)
    return file.getvalue()


MAKERS = {
    "CAI": as_cai_splits,
    "list": lambda arrays: saved(tensors(arrays)),
    "tuple": lambda arrays: saved(tuple(tensors(arrays))),
    "dict": as_dict,
    "views": as_views_of_a_larger_storage,
    "permuted": as_permuted_images,
    "protocol 4": as_newer_pickle,
}


@pytest.fixture
def find(store: Store, bucket: str) -> Callable[[list[bytes]], RunInputs]:
    """Survey objects as the partitions of a data set."""

    def found(bodies: list[bytes]) -> RunInputs:
        for i, body in enumerate(bodies, 1):
            store.put(Location(bucket, f"cai/{i}.pt"), body)
        store.put(Location(bucket, "m"), CHECKPOINT.read_bytes())
        data = Data(uri=f"s3://{bucket}/cai/", format="pt")
        return inspect_inputs(store, data, Model(uri=f"s3://{bucket}/m"))

    return found


def rows(store: Store, partitions: list[PlannedPartition], piece: Slice) -> dict[str, NDArray[Any]]:
    with BlockReader(store, partitions, 16).blocks([piece]) as blocks:
        parts = [b.columns for b in blocks]
    return {name: np.concatenate([p[name] for p in parts]) for name in parts[0]}


@pytest.mark.parametrize("how", MAKERS)
def test_rows_are_those_that_torch_reads(
    store: Store, find: Callable[..., RunInputs], arrays: dict[str, NDArray[Any]], how: str
) -> None:
    found = find([MAKERS[how](arrays)])
    assert found.problems == []
    (planned,) = found.partitions
    assert (planned.rows, planned.row_bytes, planned.format) == (ROWS, 164_160 // 8 + 4, "pt")
    got = rows(store, found.partitions, Slice(partition=0, start=32, stop=209))
    for name, array in arrays.items():
        np.testing.assert_array_equal(got[name], array[32:209].astype(np.float32))
    np.testing.assert_array_equal(got["object_id"], np.arange(32, 209))
    assert all(np.isnan(got[name]).all() for name in ("ra", "dec", "mag_err"))
    assert got["mag_err"].shape == (177, 5)


def test_without_redshifts_and_with_none(
    store: Store, find: Callable[..., RunInputs], arrays: dict[str, NDArray[Any]]
) -> None:
    """Objects of later partitions have ids of their own; empty partitions are none's trouble."""
    image, mag, _ = tensors(arrays)
    empty = saved(TensorDataset(image[:0].clone(), mag[:0].clone()))
    found = find([empty, saved([image, mag])])
    assert found.problems == []
    assert [p.rows for p in found.partitions] == [0, ROWS]
    got = rows(store, found.partitions, Slice(partition=1, start=298, stop=300))
    assert got["object_id"].tolist() == [1_000_000_298, 1_000_000_299]
    assert "z_spec" not in got


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (lambda i, m, z: [i[..., :16], m, z], "image has gaps"),
        (lambda i, m, z: [i[:, :4].clone(), m, z], r"image has shape \[300, 4, 32, 32\]"),
        (lambda i, m, z: [i[::2], m[::2].clone(), z[::2].clone()], "image's rows have gaps"),
        (lambda i, m, z: [torch._neg_view(i), m, z], r"properties of its own \(neg\)"),
        (lambda i, m, z: [i, m[:200], z], "columns differ in length"),
        (lambda i, m, z: [i.half(), m, z], "asks for torch.HalfStorage"),
        (lambda i, _, z: {"image": i, "z": z}, "'z' is not the name of a column"),
        (lambda i, m, z: [(i[0], m[0], z[0])], "a sequence of 1 items"),
        (lambda i, m, z: [i, m, [z]], "'z_spec' is a list"),
        (lambda i, *_: i, "it holds one StoredTensor"),
        (lambda i, m, z: torch.utils.data.Subset(TensorDataset(i, m, z), [1]), "asks for .*Subset"),
    ],
)
def test_what_is_no_partition_is_refused_by_what_it_is(
    find: Callable[..., RunInputs],
    arrays: dict[str, NDArray[Any]],
    content: Callable[..., Any],
    says: str,
) -> None:
    (problem,) = find([saved(content(*tensors(arrays)))]).problems
    assert problem.code == "bad-partition"
    assert problem.pointer.endswith("cai/1.pt")
    assert problem.hint
    with pytest.raises(ValueError, match=says):
        raise ValueError(problem.message)


def test_files_of_the_other_layout_are_pointed_out(
    store: Store, bucket: str, find: Callable[..., RunInputs], arrays: dict[str, NDArray[Any]]
) -> None:
    find([as_cai_splits(arrays)])
    data = Data(uri=f"s3://{bucket}/cai/")
    (problem,) = inspect_inputs(store, data, Model(uri=f"s3://{bucket}/m")).problems
    assert problem.code == "no-partitions"
    assert '"format": "pt"' in problem.hint


def test_a_rank_predicts_them_as_it_does_the_arrays(
    store: Store, bucket: str, find: Callable[..., RunInputs], arrays: dict[str, NDArray[Any]]
) -> None:
    body = as_cai_splits(arrays)
    found = find([body, body])
    assert found.model
    document = '{"version": 1, "job": "cai", "model": {"uri": "s3://bkt/m"}, "data": {"uri": "s3://bkt/cai/"}}'
    plan = make_plan(
        "cai-1",
        parse_manifest(document.encode()),
        found.model,
        found.partitions,
        world_size=1,
        channel="none",
    )
    folder = RunFolder(bucket, "runs/", "cai-1")
    store.put(folder.plan, plan.model_dump_json().encode())
    function = RankEnvironment.from_environment(
        {"AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "1769"},
        store,
        secrets=None,  # type: ignore[arg-type]
    )
    task = RankTask(bucket=bucket, prefix="runs/", run="cai-1", rank=0)
    record = run_rank(task, function, deadline=float("inf"))
    shard = read_shard(store.get(folder.shard(0, 1)), None)
    engine = function.engine(plan)
    for at in range(0, ROWS, plan.batch_size):
        part = slice(at, at + plan.batch_size)
        expected = engine.predict(arrays["image"][part], arrays["mag"][part].astype(np.float32))
        for first in (at, ROWS + at):
            got = shard["z_phot"][first : first + len(expected.z_phot)]
            np.testing.assert_array_equal(got, expected.z_phot)
    assert shard["object_id"][ROWS - 1 : ROWS + 1].tolist() == [ROWS - 1, 1_000_000_000]
    assert np.isnan(shard["ra"]).sum() == 2 * ROWS
    assert record.rows == 2 * ROWS
    assert record.bytes_read >= 2 * ROWS * found.partitions[0].row_bytes
    assert 0 < record.shares["compute"] <= 1
    assert record.download_s > 0
    assert 0 <= record.shares["read_wait"] <= 1
    wall_s = record.inferred_at_s - record.started_at_s
    assert record.rows_per_s == pytest.approx(2 * ROWS / wall_s)
