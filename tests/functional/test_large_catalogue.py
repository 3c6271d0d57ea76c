"""A catalogue too large for one write goes to S3 in parts: whole or not at all, always alike."""

from __future__ import annotations

import hashlib
import io
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from astropy.io import fits
from types_boto3_s3 import S3Client

sys.path.insert(0, str(Path(__file__).parents[1]))

from cosmic.contracts.catalogue_columns import catalogue_rows
from cosmic.contracts.layout import RunFolder
from cosmic.contracts.plan import Plan, PlannedModel, PlannedPartition, share_rows
from cosmic.contracts.quantiles import QUANTILES
from cosmic.contracts.shard import write_shard
from cosmic.contracts.status import State
from cosmic.errors import TransientError
from cosmic.report.document import ReportDocument
from cosmic.results.aggregate import aggregate
from cosmic.results.task import AggregateTask
from cosmic.storage.objects import Store
from report_support.samples import sample_record

ROWS = (50_000, 75_000)
RUN = "large"


@pytest.fixture(autouse=True)
def plain_page(monkeypatch: pytest.MonkeyPatch) -> None:
    """No page: it has tests of its own."""

    def none(document: ReportDocument, scratch: Path, seconds_left: float) -> str:
        return "not wanted"

    monkeypatch.setattr("cosmic.report.render.make_page", none)


def planned(world_size: int) -> Plan:
    return Plan(
        run=RUN,
        dataset="s3://d/",
        model=PlannedModel(bucket="b", key="m", etag="e", bytes=1, sha256="0" * 64),
        partitions=tuple(
            PlannedPartition(bucket="b", key=f"{i}", etag="e", bytes=1, rows=n, row_bytes=1)
            for i, n in enumerate(ROWS)
        ),
        ranks=tuple(share_rows(ROWS, world_size, 64)),
        batch_size=64,
        channel="none",
        fmi_timeout_s=1,
        failed_rows_percent=0,
        gather=False,
    )


def columns(partition: int) -> dict[str, Any]:
    draw, rows = np.random.default_rng(partition), ROWS[partition]
    return {
        "object_id": draw.integers(1, 1 << 62, rows),
        "ra": draw.uniform(0, 360, rows),
        "dec": draw.uniform(-90, 90, rows),
        "mag": draw.normal(18, 1, (rows, 5)).astype(np.float32),
        "mag_err": draw.uniform(0.01, 0.1, (rows, 5)).astype(np.float32),
        "z_spec": draw.uniform(0.01, 0.5, rows).astype(np.float32),
    }


class Run:
    """A large run whose ranks are done."""

    def __init__(self, store: Store, folder: RunFolder, world_size: int) -> None:
        self.store, self.folder, self.plan = store, folder, planned(world_size)
        store.put(folder.plan, self.plan.model_dump_json().encode())
        data = [columns(p) for p in range(len(ROWS))]
        for rank in self.plan.ranks:
            out, blocks = io.BytesIO(), []
            for s in rank.slices:
                part = {k: v[s.start : s.stop] for k, v in data[s.partition].items()}
                z, flags = part["z_spec"] * np.float32(1.01), np.zeros(s.stop - s.start, "i4")
                quantiles = np.full((len(z), len(QUANTILES)), np.nan, np.float32)
                blocks.append(
                    catalogue_rows(
                        part, z, z / 10, quantiles, flags, partition=s.partition, start=s.start
                    )
                )
            write_shard(out, rank.rows, None, blocks)
            store.put(folder.shard(rank.rank, world_size), out.getvalue())
            record = sample_record(rank.rank, world_size, rank.rows, np.random.default_rng(0))
            digest = hashlib.sha256(out.getvalue()).hexdigest()
            record = record.model_copy(update={"fmi": "none", "shard_sha256": digest})
            store.put(folder.record(rank.rank, world_size), record.model_dump_json().encode())

    @property
    def keys(self) -> set[str]:
        return {Path(o.key).name for o in self.store.list(self.folder.at("")) if "cata" in o.key}

    def catalogue(self) -> tuple[bytes, bytes]:
        names = ("catalogue.parquet", "catalogue.fits")
        one, other = (self.store.get(self.folder.at(name)) for name in names)
        return one, other


def task(folder: RunFolder) -> AggregateTask:
    return AggregateTask(folder, "s3://b/m.json", "arn", 1.0, 1769, 2.0)


def uploads(s3: S3Client, bucket: str) -> list[Any]:
    return s3.list_multipart_uploads(Bucket=bucket).get("Uploads", [])


@pytest.fixture
def make_run(store: Store, bucket: str) -> Callable[..., Run]:
    return lambda ranks, prefix="runs/": Run(store, RunFolder(bucket, prefix, RUN), ranks)


def test_the_files_are_the_same_for_any_world_size_and_every_time(
    make_run: Callable[..., Run], s3: S3Client, bucket: str, tmp_path: Path
) -> None:
    found = []
    for ranks in (1, 7):
        run = make_run(ranks, f"runs/{ranks}/")
        status = aggregate(task(run.folder), run.store, tmp_path).status
        assert (status.state, status.rows_out) == (State.SUCCEEDED, sum(ROWS))
        found.append(run.catalogue())
    assert found[0] == found[1]
    assert uploads(s3, bucket) == []
    table = pq.read_table(io.BytesIO(found[0][0]))
    expected = np.concatenate([columns(p)["object_id"] for p in range(len(ROWS))])
    assert np.array_equal(table["object_id"], expected)
    with fits.open(io.BytesIO(found[0][1]), checksum=True) as hdus:
        hdus.verify("exception")
        assert hdus[1].header["ROWSOUT"] == sum(ROWS)
        for name in ("object_id", "ra", "z_phot", "row"):
            assert np.array_equal(hdus[1].data[name], table[name])


def test_where_s3_fails_in_the_middle_nothing_is_left(
    make_run: Callable[..., Run],
    s3: S3Client,
    bucket: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run = make_run(3)
    send = s3.upload_part

    def fails(**part: Any) -> Any:
        assert uploads(s3, bucket)
        if part["Key"].endswith("fits"):
            raise TransientError("cut off")
        return send(**part)

    with monkeypatch.context() as broken:
        broken.setattr(run.store._s3, "upload_part", fails)
        with pytest.raises(TransientError):
            aggregate(task(run.folder), run.store, tmp_path)
    assert (run.keys, uploads(s3, bucket)) == (set(), [])
    assert aggregate(task(run.folder), run.store, tmp_path).status.state is State.SUCCEEDED


KILLED = """
import os, signal, sys
from pathlib import Path
import boto3
from cosmic.contracts.layout import RunFolder
from cosmic.results.aggregate import aggregate
from cosmic.results.task import AggregateTask
from cosmic.storage.objects import Store
endpoint, bucket, run = sys.argv[1:]
s3 = boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1")
send = s3.upload_part
def upload_part(**part):
    send(**part)
    os.kill(os.getpid(), signal.SIGKILL)
s3.upload_part = upload_part
task = AggregateTask(RunFolder(bucket, "runs/", run), "s3://b/m.json", "arn", 1.0, 1769, 2.0)
aggregate(task, Store(s3), Path("."))
"""


def test_a_killed_aggregate_leaves_no_half_catalogue_and_repeats_to_the_same_bytes(
    make_run: Callable[..., Run], s3: S3Client, bucket: str, aws_endpoint: str, tmp_path: Path
) -> None:
    run = make_run(2)
    keys = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
    ended = subprocess.run(
        [sys.executable, "-c", KILLED, aws_endpoint, bucket, RUN],
        env=os.environ | keys,
        cwd=tmp_path,
        check=False,
    )
    assert ended.returncode == -signal.SIGKILL
    assert run.keys == set()
    assert len(uploads(s3, bucket)) == 1
    aggregate(task(run.folder), run.store, tmp_path)
    whole = run.catalogue()
    assert uploads(s3, bucket) == []
    aggregate(task(run.folder), run.store, tmp_path)
    assert run.catalogue() == whole


def test_a_run_that_fails_although_its_records_are_whole_has_a_partial_catalogue_alone(
    make_run: Callable[..., Run], s3: S3Client, bucket: str, tmp_path: Path
) -> None:
    run = make_run(40)
    run.store.put(run.folder.shard(39, 40), b"broken")
    status = aggregate(task(run.folder), run.store, tmp_path).status
    assert status.state is State.FAILED
    assert run.keys == {"catalogue.partial.parquet", "catalogue.partial.fits"}
    assert uploads(s3, bucket) == []


def test_a_run_that_succeeds_although_a_record_is_lost_has_a_whole_catalogue_alone(
    make_run: Callable[..., Run], s3: S3Client, bucket: str, tmp_path: Path
) -> None:
    run = make_run(40)
    run.store.delete(run.folder.record(7, 40))
    assert aggregate(task(run.folder), run.store, tmp_path).status.state is State.SUCCEEDED
    assert run.keys == {"catalogue.parquet", "catalogue.fits"}
    assert uploads(s3, bucket) == []
