"""A deployment from nothing and back, by the library: started, used, removed, nothing left."""

from __future__ import annotations

import json
import socket
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil
import pytest
from botocore.exceptions import ClientError

from cosmic import (
    CosmicError,
    Deployment,
    InputError,
    RateSource,
    Run,
    Snapshot,
    State,
    read_catalogue,
)
from cosmic.client.delete_data import remove_data
from cosmic.data.synth.dataset import Sample, write_dataset

ROOT = Path(__file__).parents[2]
ROWS = 100


def manifest_of(deployment: Deployment, folder: Path) -> dict[str, Any]:
    """The manifest of a run over data and a model that are uploaded for it."""
    (partition,) = write_dataset(folder / "data", Sample("catalog", ROWS), ROWS)
    checkpoint = ROOT / "models/tiny/astromae-tiny.safetensors"
    data = deployment.upload(partition, "data/0.safetensors")
    return {
        "version": 1,
        "job": "first",
        "model": {"uri": deployment.upload(checkpoint, "models/tiny.safetensors")},
        "data": {"partitions": [data]},
        "inference": {"world_size": 2},
    }


def finished(deployment: Deployment, manifest: dict[str, Any]) -> Run:
    """A run that has ended; it was seen on its way."""
    run = deployment.submit(manifest)
    seen: list[Snapshot] = []
    status = run.wait(seen.append)
    assert (status.state, status.rows_out) == (State.SUCCEEDED, ROWS)
    assert seen[-1].status == status == run.status() == run.look().status
    assert seen[-1].progress.rows_done == ROWS
    return run


def check_run(deployment: Deployment, run: Run, manifest: dict[str, Any], folder: Path) -> None:
    """Everything that a program can ask of a run and of its deployment."""
    place = run.results(folder / "results")
    assert place == folder / "results" / run.id
    assert len(read_catalogue(str(place / "catalogue.parquet"))) == ROWS
    assert run.report(folder / "page").read_text().startswith("<!doctype html>")
    assert run.metrics() == json.loads((place / "metrics.json").read_text())
    assert run.cost()["usd"] == sum(line["usd"] for line in run.cost()["lines"]) > 0
    (listed,) = deployment.runs()
    assert (listed.run, listed.state, listed.rows_out) == (run.id, "SUCCEEDED", ROWS)
    assert deployment.run(run.id) == run
    assert deployment.plan(manifest).expected is None
    expected = deployment.plan(manifest, RateSource(like=run.id)).expected
    assert expected is not None
    assert expected.usd > 0
    for refused in (run.cancel, run.resume, deployment.run("none-0123456789ab").status):
        with pytest.raises(InputError):
            refused()


def test_deployed_used_and_removed_leaves_nothing(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    new_children: Callable[[], list[psutil.Process]],
) -> None:
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    with Deployment.start(ROOT / "template.yaml", tmp_path / "state") as deployment:
        assert Deployment.local(tmp_path / "state").bucket == deployment.bucket
        s3 = deployment.client("s3")
        manifest = manifest_of(deployment, tmp_path)
        run = finished(deployment, manifest)
        check_run(deployment, run, manifest, tmp_path)
        versions = s3.list_object_versions(Bucket=deployment.bucket)["Versions"]
        keys = [v["Key"] for v in versions]
        assert len(keys) > len(set(keys)), "status.json was written more than once"
        assert remove_data(deployment.stack) >= len(versions)
        with pytest.raises(ClientError, match="404"):
            s3.head_bucket(Bucket=deployment.bucket)
        assert s3.list_buckets()["Buckets"] == []
        address = urlsplit(s3.meta.endpoint_url)
    assert list(temporary.iterdir()) == []
    assert new_children() == []
    with socket.socket() as probe:
        assert probe.connect_ex((str(address.hostname), int(address.port or 0))) != 0
    with pytest.raises(CosmicError, match="no stack is running"):
        Deployment.local(tmp_path / "state")


def test_no_template_starts_nothing(tmp_path: Path) -> None:
    with (
        pytest.raises(InputError, match="does not exist"),
        Deployment.start(tmp_path / "template.yaml"),
    ):
        pass
