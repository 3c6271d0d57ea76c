"""A deployment from nothing and back: deployed, run, removed, and nothing is left."""

from __future__ import annotations

import json
import socket
import tempfile
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest
from botocore.exceptions import ClientError

from cosmic.contracts.location import Location
from cosmic.contracts.status import State
from cosmic.data.synth.dataset import Sample, write_dataset
from cosmic_cli.delete_data import remove_data
from cosmic_cli.submission import follow, submit
from cosmic_cli.target import Target, local_target
from cosmic_local.stack import LocalStack

ROOT = Path(__file__).parents[2]


def run_once(target: Target, folder: Path) -> State:
    """Upload a model and data, drop a manifest, wait for the run's end."""
    data = folder / "data"
    data.mkdir()
    write_dataset(data, Sample("catalog", 100), 100)
    store = target.store()
    checkpoint = ROOT / "models/tiny/astromae-tiny.safetensors"
    store.upload(checkpoint, Location(target.bucket, "models/tiny.safetensors"))
    store.upload(data / "0.safetensors", Location(target.bucket, "data/0.safetensors"))
    manifest = folder / "first.json"
    uri = f"s3://{target.bucket}"
    document = {
        "version": 1,
        "job": "first",
        "model": {"uri": f"{uri}/models/tiny.safetensors"},
        "data": {"uri": f"{uri}/data/"},
        "inference": {"world_size": 2},
    }
    manifest.write_text(json.dumps(document))
    *_, last = follow(target, submit(target, manifest))
    assert last.status
    return last.status.state


def test_deployed_run_and_removed_leaves_nothing(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    new_children: Callable[[], list[psutil.Process]],
) -> None:
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    with LocalStack(ROOT / "template.yaml", rendezvous=True) as stack:
        target = local_target(stack)
        assert run_once(target, tmp_path) is State.SUCCEEDED
        s3 = target.client("s3")
        versions = s3.list_object_versions(Bucket=target.bucket)["Versions"]
        keys = [v["Key"] for v in versions]
        assert len(keys) > len(set(keys)), "status.json was written more than once"
        assert remove_data(target) >= len(versions)
        with pytest.raises(ClientError, match="404"):
            s3.head_bucket(Bucket=target.bucket)
        assert s3.list_buckets()["Buckets"] == []
        address = urlsplit(stack.endpoint_url)
    assert list(temporary.iterdir()) == []
    assert new_children() == []
    with socket.socket() as probe:
        assert probe.connect_ex((str(address.hostname), int(address.port or 0))) != 0
