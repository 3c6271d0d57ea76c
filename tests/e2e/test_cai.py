"""CAI's payload, partitions and checkpoint as they are; its statistics read the run."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

sys.path.insert(0, str(Path(__file__).parents[1]))

from cai_support.model import saved_whole, trained
from cai_support.partitions import split
from cai_support.statistics import varying_data_size
from cosmic.client.deployment import Deployment
from cosmic.client.stack import Stack, of_local
from cosmic.client.submit import submit
from cosmic.client.watch import watch
from cosmic.contracts.location import Location
from cosmic.contracts.status import State, Status
from cosmic.model.architecture import PRESETS
from cosmic.model.convert.convert import convert
from cosmic_cli.commands.cai import app
from cosmic_local.stack import LocalStack
from process_support import run_bare

ROOT = Path(__file__).parents[2]
ROWS, PER_PARTITION = 520, 40
FOLDER = "scripts/Anomaly Detection/Fine_Tune_Model"
CHECKPOINT = f"{FOLDER}/Mixed_Inception_z_VITAE_Base_Img_Full_New_Full"
PAYLOAD: dict[str, Any] = {
    "bucket": "cosmicai2",
    "file_limit": "10",
    "batch_size": 512,
    "object_type": "folder",
    "S3_object_name": "scripts/Anomaly Detection",
    "data_path": "/tmp/scripts/Anomaly Detection/Inference/resized_inference.pt",
    "script": "/tmp/scripts/Anomaly Detection/Inference/inference.py",
    "result_path": "result/Batches/run 1",
    "data_bucket": "cosmicai-data",
    "data_prefix": "",
}


@dataclass
class Done:
    """A payload's run, and the files that it was made of."""

    target: Stack
    status: Status
    partitions: Path
    model: Path


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Done]:
    """The demo payload's run."""
    home = tmp_path_factory.mktemp("cai")
    (home / "data").mkdir()
    draw = np.random.default_rng(2)
    columns = {
        "image": draw.normal(0, 1, (ROWS, 5, 32, 32)),
        "mag": draw.uniform(15, 20, (ROWS, 5)),
        "z_spec": draw.uniform(0.02, 0.3, ROWS),
    }
    for name, body in split(columns, PER_PARTITION):
        (home / "data" / name).write_bytes(body)
    pickled, model = home / "published.pt", home / "converted.safetensors"
    pickled.write_bytes(saved_whole(trained(PRESETS["tiny"])))
    convert(pickled, model)
    payload = home / "demo input.json"
    payload.write_text(json.dumps(PAYLOAD))
    with LocalStack(template=ROOT / "template.yaml", rendezvous=True) as stack:
        target = of_local(stack)
        for bucket in ("cosmicai2", "cosmicai-data"):
            target.client("s3").create_bucket(Bucket=bucket)
        store = target.store()
        store.upload(pickled, Location("cosmicai2", f"{CHECKPOINT}.pt"))
        rejected = ended(target, payload)
        assert rejected.state is State.REJECTED
        assert any("cosmic model convert" in p["hint"] for p in rejected.problems)
        store.upload(model, Location("cosmicai2", f"{CHECKPOINT}.safetensors"))
        for path in (home / "data").iterdir():
            store.upload(path, Location("cosmicai-data", path.name))
        yield Done(target, ended(target, payload), home / "data", model)


def ended(target: Stack, payload: Path) -> Status:
    *_, last = watch(target, submit(target, payload))
    assert last.status
    return last.status


def run_object(done: Done, name: str) -> bytes:
    return done.target.store().get(Location(done.target.bucket, f"runs/{done.status.run}/{name}"))


def test_the_payload_runs_unchanged(done: Done) -> None:
    status = done.status
    assert (status.state, status.problems, status.fmi) == (State.SUCCEEDED, (), "ok")
    assert status.world_size == 10
    assert any(w.startswith("script is ignored") for w in status.warnings)
    plan = json.loads(run_object(done, "plan.json"))
    # the ten that S3 lists first, the same as CAI takes, in natural order
    assert [p["key"] for p in plan["partitions"]] == [
        f"{n}.pt" for n in (1, 2, 3, 4, 5, 6, 10, 11, 12, 13)
    ]
    assert plan["batch_size"] == 512
    assert status.rows_in == status.rows_out == 10 * PER_PARTITION


LIBRARY = """
import sys
from cosmic import run_local
model, out, *files = sys.argv[1:]
run_local(files, model, out, batch_size=512, threads=1)
"""


def test_the_library_gives_the_same_catalogue(done: Done, tmp_path: Path) -> None:
    plan = json.loads(run_object(done, "plan.json"))
    files = [done.partitions / p["key"] for p in plan["partitions"]]
    run_bare(LIBRARY, done.model, tmp_path, *files)
    here, there = tmp_path / "catalogue.parquet", tmp_path / "there.parquet"
    there.write_bytes(run_object(done, "catalogue.parquet"))
    assert pq.read_table(here).equals(pq.read_table(there))
    assert pq.read_table(there)["z_phot_err"].null_count == 10 * PER_PARTITION


def test_its_statistics_read_the_run(
    done: Done, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = "result-partition-25MB/1GB/1"
    monkeypatch.setattr("cosmic_cli.options.find_deployment", lambda **_: Deployment(done.target))
    words = ["combined", done.status.run]
    called = CliRunner().invoke(app, [*words, "--result-path", place, "--into", str(tmp_path)])
    assert called.exit_code == 0, called.output
    monkeypatch.chdir(tmp_path)
    (row,) = varying_data_size(partitions=[25], data_sizes=["1GB"], runs=1)
    records = json.loads(run_object(done, "metrics.json"))["ranks"]
    with_rows = [r for r in records if r["rows"]]
    assert row["total_cpu_memory (MB)"] == sum(r["peak_memory_mb"] for r in with_rows)
    assert row["total_bits"] == pytest.approx(8 * 20_524 * 10 * PER_PARTITION)
    assert 0 < row["total_cpu_time (seconds)"] <= max(r["compute_s"] for r in with_rows)


def test_combined_data_lies_in_the_runs_folder_too(done: Done) -> None:
    assert done.status.outputs["combined_data.json"].endswith(
        f"{done.status.run}/combined_data.json"
    )
    entries = json.loads(run_object(done, "combined_data.json"))
    assert {e["result_path"] for e in entries} == {"result/Batches/run 1"}
    assert all(set(e) == KEYS for e in entries)
    assert entries[0]["data_path"] == "1.pt"
    assert sum(e["num_batches"] for e in entries) == 10


KEYS = {
    "total_cpu_time (seconds)",
    "total_cpu_memory (MB)",
    "execution_time (seconds/batch)",
    "num_batches",
    "batch_size",
    "device",
    "throughput_bps",
    "sample_persec",
    "result_path",
    "data_path",
}
