"""Files into a bucket: packed, uploaded once, never over others, and a manifest that runs."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from astropy.table import Table

from cosmic import Deployment, plan_manifest, put_data
from cosmic.client.stack import Stack
from cosmic.contracts.location import Location
from cosmic.data.dataset_index import INDEX_NAME
from cosmic.data.synth.dataset import Sample, rows
from cosmic.errors import InputError, InvalidInput, TransientError
from cosmic.planning.indexed import known_partitions
from cosmic.storage.objects import Store
from cosmic.workstation.shipped_model import SHIPPED, shipped_sha256
from cosmic.workstation.step import Step

ROWS = 120
ROW_BYTES = 20 * 32 * 32 + 28
SMALL = 50 * ROW_BYTES


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A FITS table of galaxies, by astropy."""
    path = tmp_path_factory.mktemp("files") / "My Galaxies.fits"
    Table(rows(Sample("catalog", None), 0, ROWS)).write(path)
    return path


@pytest.fixture
def deployment(
    aws: Callable[[str], Any], bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Deployment:
    """A deployment with a bucket; the working directory is the test's own."""
    monkeypatch.chdir(tmp_path)
    return Deployment(Stack(aws, {"DataBucketName": bucket, "PipelineArn": ""}, poll_s=0.1))


def keys(store: Store, bucket: str) -> list[str]:
    return sorted(found.key for found in store.list(Location(bucket, "")))


def test_a_file_becomes_a_data_set_and_a_manifest_that_can_be_planned(
    deployment: Deployment, table: Path, store: Store, bucket: str, s3: Any, tmp_path: Path
) -> None:
    steps: list[Step] = []
    made = put_data(deployment, table, partition_bytes=SMALL, progress=steps.append)
    model = f"models/{shipped_sha256()[:12]}/{SHIPPED.name}"
    data = [f"data/my-galaxies/{i}.safetensors" for i in range(3)]
    assert keys(store, bucket) == [*data, f"data/my-galaxies/{INDEX_NAME}", model]
    assert made.manifest == Path("my-galaxies.json")
    assert (made.rows, made.partitions, made.uploaded) == (ROWS, 3, 3)
    assert steps[-1].phase == "uploading"
    assert steps[-1].done == steps[-1].of
    document = json.loads(made.manifest.read_text())
    assert document["data"] == {"uri": f"s3://{bucket}/data/my-galaxies/", "expect": 3}
    plan = plan_manifest(document, client=s3)
    assert (plan.rows, plan.model.sha256) == (ROWS, shipped_sha256())
    assert [p.name for p in tmp_path.iterdir() if p.is_file()] == ["my-galaxies.json"]
    assert not (tmp_path / ".cosmic/put/my-galaxies").exists()
    again = put_data(deployment, table, partition_bytes=SMALL)
    assert again.uploaded == 0


def test_partitions_keep_their_order_whatever_their_names(
    deployment: Deployment, table: Path, bucket: str, s3: Any, tmp_path: Path
) -> None:
    put_data(deployment, table, name="first", partition_bytes=SMALL)
    for i, name in enumerate(("b", "a")):
        (tmp_path / name).mkdir()
        s3.download_file(bucket, f"data/first/{i}.safetensors", f"{name}/0.safetensors")
    made = put_data(deployment, [tmp_path / "b", tmp_path / "a"], name="second")
    assert made.packed is None
    for i in range(2):
        first, second = (
            s3.get_object(Bucket=bucket, Key=f"data/{name}/{i}.safetensors")["Body"].read()
            for name in ("first", "second")
        )
        assert first == second


@pytest.mark.parametrize("packed", [True, False])
def test_a_data_set_has_an_index_by_its_names_and_etags(
    deployment: Deployment, table: Path, store: Store, bucket: str, tmp_path: Path, *, packed: bool
) -> None:
    """Of objects that S3 got in one piece and, beyond 8 MiB, in parts."""
    given, size = table, 440 * ROW_BYTES
    if packed:
        Table(rows(Sample("catalog", None), 0, 500)).write(tmp_path / "large.fits")
        given = tmp_path / "large.fits"
    else:
        put_data(deployment, table, name="first", partition_bytes=SMALL)
        for i, name in enumerate(("9", "10")):
            part = Location(bucket, f"data/first/{i}.safetensors")
            (tmp_path / "own").mkdir(exist_ok=True)
            (tmp_path / f"own/{name}.safetensors").write_bytes(store.get(part))
        given = tmp_path / "own"
    made = put_data(deployment, given, name="set", partition_bytes=size)
    assert made.partitions == 2
    objects = {found.key: found for found in store.list(Location(bucket, "data/set/"))}
    known, warnings = known_partitions(store, bucket, objects)
    assert set(known) == {f"data/set/{i}.safetensors" for i in range(2)}, "each by its ETag"
    assert sum(partition.rows for partition in known.values()) == made.rows
    assert not warnings


def test_other_data_are_not_written_over(
    deployment: Deployment, table: Path, store: Store, bucket: str, tmp_path: Path
) -> None:
    store.put(Location(bucket, "data/mine/0.safetensors"), b"precious")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(InputError, match="a different data set") as caught:
        put_data(deployment, table, name="mine")
    assert caught.value.code == "not-empty"
    assert store.get(Location(bucket, "data/mine/0.safetensors")) == b"precious"
    Path("other.json").write_text("{}")
    with pytest.raises(InputError, match="another file"):
        put_data(deployment, table, name="other")
    assert sorted(tmp_path.rglob("*")) == [*before, tmp_path / "other.json"]
    assert keys(store, bucket) == ["data/mine/0.safetensors"]


@pytest.mark.parametrize("name", ["No Name", "a/b", "..", "x" * 61])
def test_a_name_that_no_job_can_have(
    deployment: Deployment, table: Path, store: Store, bucket: str, name: str, tmp_path: Path
) -> None:
    with pytest.raises(InvalidInput, match="/job"):
        put_data(deployment, table, name=name)
    assert keys(store, bucket) == []
    assert list(tmp_path.iterdir()) == []


def test_what_broke_off_goes_on_where_it_was(
    deployment: Deployment,
    table: Path,
    store: Store,
    bucket: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    upload, seen = Store.upload, list[Path]()

    def breaking(self: Store, path: Path, at: Location, *more: Any) -> None:
        seen.append(path)
        if at.key.endswith("/1.safetensors"):
            raise TransientError("the line is dead")
        upload(self, path, at, *more)

    with monkeypatch.context() as patched:
        patched.setattr(Store, "upload", breaking)
        with pytest.raises(TransientError):
            put_data(deployment, table, partition_bytes=SMALL)
    there = keys(store, bucket)
    assert "data/my-galaxies/1.safetensors" not in there
    assert not Path("my-galaxies.json").exists()
    steps: list[Step] = []
    made = put_data(deployment, table, partition_bytes=SMALL, progress=steps.append)
    assert made.uploaded == 3 - len(there)
    assert {step.phase for step in steps} == {"uploading"}, "it is not packed again"
    assert len(keys(store, bucket)) == 5


def test_a_changed_file_is_not_mixed_with_what_was_put(
    deployment: Deployment, table: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "copy.fits"
    copy.write_bytes(table.read_bytes())
    put_data(deployment, copy)
    os.utime(copy, ns=(1, 1))
    with pytest.raises(InputError, match="a different data set"):
        put_data(deployment, copy)


def test_the_model_can_be_there_already(
    deployment: Deployment, table: Path, store: Store, bucket: str
) -> None:
    uri = f"s3://{bucket}/models/mine.safetensors"
    made = put_data(deployment, table, model=uri)
    assert json.loads(made.manifest.read_text())["model"] == {"uri": uri}
    of_data = [f"data/my-galaxies/{name}" for name in ("0.safetensors", INDEX_NAME)]
    assert keys(store, bucket) == of_data
