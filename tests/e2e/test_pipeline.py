"""Manifest in, catalogue out: the deployed product on real input."""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pytest
from astropy.table import Table
from safetensors.numpy import load_file

sys.path.insert(0, str(Path(__file__).parents[1]))

from cosmic.contracts.flags import Flag
from cosmic.contracts.location import Location
from cosmic.contracts.status import State
from cosmic.data.native import write_partition
from process_support import run_bare

from .conftest import PER_PARTITION
from .permissions import allowed, statements

if TYPE_CHECKING:
    from .conftest import Cosmic, Run

BATCH, MEMORY_MB = 64, 1769


@pytest.fixture(scope="module")
def runs(cosmic: Cosmic) -> dict[int, Run]:
    """Runs over the same data by world size."""
    done = {}
    for world_size in (1, 2, 4, 7):
        run = cosmic.drop(cosmic.manifest(inference={"world_size": world_size}))
        status = run.wait()
        assert (status.state, status.fmi, status.problems) == (State.SUCCEEDED, "ok", ())
        assert (status.rows_in, status.rows_out) == (cosmic.rows, cosmic.rows)
        done[world_size] = run
    return done


@pytest.fixture(scope="module")
def by_world_size(runs: dict[int, Run]) -> dict[int, pa.Table]:
    """Their catalogues."""
    return {world_size: run.catalogue() for world_size, run in runs.items()}


def test_every_world_size_gives_the_same_bytes(by_world_size: dict[int, pa.Table]) -> None:
    assert {digest(table) for table in by_world_size.values()} == {digest(by_world_size[1])}


def digest(table: pa.Table) -> str:
    """SHA-256 of the rows: every value of every column, bit by bit, and where it is missing."""
    sha = hashlib.sha256()
    for name in table.column_names:
        column = table[name].combine_chunks()
        sha.update(column.is_valid().to_numpy(zero_copy_only=False).tobytes())
        sha.update(column.to_numpy(zero_copy_only=False).tobytes())
    return sha.hexdigest()


LOOP = """
import sys
from pathlib import Path
import numpy as np
from safetensors.numpy import load_file
from cosmic.model.checkpoint import load_checkpoint
from cosmic.contracts.vcpus import threads_for_memory
from cosmic.model.engine import Engine
checkpoint, memory_mb, batch, out, *files = sys.argv[1:]
engine = Engine(load_checkpoint(Path(checkpoint)), threads_for_memory(int(memory_mb)))
batch = int(batch)
found = []
for columns in map(load_file, files):
    for start in range(0, len(columns["object_id"]), batch):
        part = slice(start, start + batch)
        found.append(engine.predict(columns["image"][part], columns["mag"][part]).z_phot)
np.save(out, np.concatenate(found))
"""


def test_predictions_equal_a_plain_loop_over_the_files(
    cosmic: Cosmic, by_world_size: dict[int, pa.Table], tmp_path: Path
) -> None:
    files = [cosmic.data / f"{i}.safetensors" for i in range(cosmic.rows // PER_PARTITION)]
    run_bare(LOOP, cosmic.checkpoint, MEMORY_MB, BATCH, tmp_path / "z.npy", *files)
    found = by_world_size[4]["z_phot"].to_numpy(zero_copy_only=False)
    np.testing.assert_array_equal(found, np.load(tmp_path / "z.npy"))


def test_metrics_are_those_of_the_model_card(cosmic: Cosmic) -> None:
    card = json.loads(cosmic.checkpoint.with_name("card.json").read_text())
    expected = card["tests"]["catalog"]["scores"]
    document = cosmic.manifest(model={"sha256": card["sha256"]})
    del document["inference"]["limit_rows"]
    run = cosmic.drop(document)
    assert run.wait().state is State.SUCCEEDED
    metrics = json.loads(run.object("metrics.json"))
    outside = np.count_nonzero(run.catalogue()["flags"].to_numpy() & Flag.OUT_OF_DOMAIN)
    assert metrics["domain"] == {
        "known": True,
        "outside": outside,
        "share": outside / metrics["run"]["rows"],
    }
    assert 0 < metrics["domain"]["share"] <= 0.02
    found = metrics["photo_z"]
    assert found["n"] == expected["n"]
    assert found["sigma_nmad"] == pytest.approx(expected["sigma_nmad"], abs=2e-6)
    assert found["r2"] == pytest.approx(expected["r2"], abs=2e-6)


def test_ranks_are_processes_whose_messages_cross_sockets(
    cosmic: Cosmic, runs: dict[int, Run]
) -> None:
    run = runs[4]
    records = run.records(4)
    assert len({r.pid for r in records}) == 4
    assert all(r.fmi_stats["sent_bytes"] > 0 for r in records)
    assert sum(r.rows for r in records) == cosmic.rows
    execution, served = run.wait().execution, cosmic.stack.invocations("InferFunction")
    reported = {i.pid: i.max_memory_mb for i in served if i.execution == execution}
    assert all(abs(r.peak_memory_mb - reported[r.pid]) < 0.2 * reported[r.pid] for r in records)
    collective = json.loads(run.object("records/collective.json"))
    assert collective["reduced"]["n"] == cosmic.rows
    assert len(collective["shard_sha256"]) == 4


def test_killing_a_rank_still_ends_in_a_whole_catalogue(
    cosmic: Cosmic, by_world_size: dict[int, pa.Table]
) -> None:
    run = cosmic.drop(cosmic.manifest(inference={"world_size": 3}))
    os.kill(cosmic.serving(run.folder.run, rank=1), signal.SIGKILL)
    status = run.wait()
    assert status.state is State.SUCCEEDED
    assert [r.attempt for r in run.records(3)] == [0, 1, 0]
    assert run.catalogue().equals(by_world_size[1])


def test_killing_aggregate_still_ends_in_a_whole_catalogue(
    cosmic: Cosmic, by_world_size: dict[int, pa.Table]
) -> None:
    run = cosmic.drop(cosmic.manifest(inference={"world_size": 1}))
    os.kill(cosmic.serving(run.folder.run, rank=None), signal.SIGKILL)
    assert run.wait().state is State.SUCCEEDED
    assert run.catalogue().equals(by_world_size[1])


def test_ranks_that_lose_each_other_lose_no_prediction(
    cosmic: Cosmic, by_world_size: dict[int, pa.Table]
) -> None:
    document = cosmic.manifest(inference={"world_size": 2}, fmi={"timeout_s": 2})
    run = cosmic.drop(document)
    frozen = cosmic.serving(run.folder.run, rank=1)
    os.kill(frozen, signal.SIGSTOP)
    cosmic.await_object(run.folder.record(0, 2))
    os.kill(frozen, signal.SIGCONT)
    status = run.wait()
    assert (status.state, status.fmi) == (State.SUCCEEDED, "degraded")
    first = run.records(2)[0]
    assert (first.fmi, first.fmi_error is not None) == ("degraded", True)
    assert run.catalogue().equals(by_world_size[1])


def test_without_fmi_the_catalogue_is_the_same(
    cosmic: Cosmic, by_world_size: dict[int, pa.Table]
) -> None:
    run = cosmic.drop(cosmic.manifest(inference={"world_size": 2}, fmi={"channel": "none"}))
    status = run.wait()
    assert (status.state, status.fmi) == (State.SUCCEEDED, "none")
    assert run.catalogue().equals(by_world_size[1])


def test_over_the_bucket_the_catalogue_is_the_same(
    cosmic: Cosmic, by_world_size: dict[int, pa.Table]
) -> None:
    run = cosmic.drop(cosmic.manifest(inference={"world_size": 3}, fmi={"channel": "s3"}))
    status = run.wait()
    assert (status.state, status.fmi) == (State.SUCCEEDED, "ok")
    assert run.catalogue().equals(by_world_size[1])
    left = [o.key for o in cosmic.store.list(Location(cosmic.bucket, "fmi/"))]
    records = re.compile(r"/(lead|lease-\d+)$")  # small, and gone after a day
    assert [key for key in left if not records.search(key)] == [], "they were read"


def test_a_duplicated_event_starts_one_execution(cosmic: Cosmic) -> None:
    run = cosmic.drop(cosmic.manifest(inference={"world_size": 1}))
    function = cosmic.stack.functions["InitFunction"].name
    bucket, key = cosmic.bucket, f"manifests/{run.folder.run.rsplit('-', 1)[0]}.json"
    version = cosmic.target.client("s3").head_object(Bucket=bucket, Key=key)["VersionId"]
    record = {
        "eventSource": "aws:s3",
        "eventName": "ObjectCreated:Put",
        "s3": {"bucket": {"name": bucket}, "object": {"key": key, "versionId": version}},
    }
    reply = cosmic.target.client("lambda").invoke(
        FunctionName=function, Payload=json.dumps({"Records": [record, record]})
    )
    runs = json.load(reply["Payload"])["runs"]
    assert {r["run"] for r in runs} == {run.folder.run}
    assert run.wait().state is State.SUCCEEDED
    assert cosmic.executions().count(run.folder.run) == 1


def test_two_manifests_at_once_do_not_touch_each_other(
    cosmic: Cosmic, by_world_size: dict[int, pa.Table]
) -> None:
    limited = cosmic.drop(cosmic.manifest(inference={"world_size": 2, "limit_rows": 100}))
    whole = cosmic.drop(
        cosmic.manifest(inference={"world_size": 2}, output={"prefix": "results/mine/"})
    )
    assert limited.wait().rows_out == 100
    assert whole.wait().rows_out == cosmic.rows
    assert limited.catalogue().equals(by_world_size[1].slice(0, 100))
    assert whole.catalogue().equals(by_world_size[1])
    assert whole.folder.status.key.startswith("results/mine/")


def test_more_ranks_than_batches(cosmic: Cosmic, by_world_size: dict[int, pa.Table]) -> None:
    run = cosmic.drop(cosmic.manifest(inference={"world_size": 5, "limit_rows": 100}))
    status = run.wait()
    assert status.state is State.SUCCEEDED
    assert any("2 ranks run" in warning for warning in status.warnings), status.warnings
    assert all(r.rows for r in run.records(2))
    assert run.catalogue().equals(by_world_size[1].slice(0, 100))


def test_the_fits_catalogue_holds_the_same_rows(cosmic: Cosmic, runs: dict[int, Run]) -> None:
    fits = Table.read(io.BytesIO(runs[1].object("catalogue.fits")), hdu=1)
    parquet = runs[1].catalogue()
    assert len(fits) == cosmic.rows
    for name in ("object_id", "z_phot", "partition", "row"):
        np.testing.assert_array_equal(np.ma.filled(fits[name], np.nan), parquet[name].to_numpy())


def test_text_ids_come_through_all_ranks(
    cosmic: Cosmic, by_world_size: dict[int, pa.Table], put: Any, tmp_path: Path
) -> None:
    columns = load_file(cosmic.data / "0.safetensors")
    texts = [f"SDSS J{i}" for i in columns["object_id"]]
    write_partition(tmp_path / "p", {**columns, "object_id": np.array(texts, "S")})
    at = Location(cosmic.bucket, "data/texts/0.safetensors")
    put(at.key, (tmp_path / "p").read_bytes())
    run = cosmic.drop(
        cosmic.manifest(
            data={"uri": f"s3://{cosmic.bucket}/data/texts/"},
            inference={"world_size": 4, "limit_rows": None},
        )
    )
    status = run.wait()
    cosmic.store.delete(at)  # other runs take the whole folder
    assert (status.state, status.fmi) == (State.SUCCEEDED, "ok"), status.problems
    assert all(r.rows for r in run.records(4))
    found, numbered = run.catalogue(), by_world_size[1].slice(0, PER_PARTITION)
    assert found["object_id"].to_pylist() == texts
    assert found.drop_columns("object_id").equals(numbered.drop_columns("object_id"))
    fits = Table.read(io.BytesIO(run.object("catalogue.fits")), hdu=1)
    assert fits["object_id"].tolist() == texts


def problems(run: Any) -> dict[str, str]:
    status = run.wait()
    assert status.state is State.REJECTED
    return {p["pointer"]: p["code"] for p in status.problems}


def test_a_manifest_that_is_not_json_is_rejected(cosmic: Cosmic) -> None:
    run = cosmic.drop(b"{not json", job="broken")
    assert problems(run) == {"": "not-json"}
    assert run.folder.run not in cosmic.executions()


def test_everything_wrong_with_a_manifest_is_said_at_once(cosmic: Cosmic) -> None:
    run = cosmic.drop(
        cosmic.manifest(
            model={"uri": f"s3://{cosmic.bucket}/models/none", "sha256": "0" * 64},
            data={"uri": "s3://no-such-bucket-at-all/data/"},
            inference={"world_size": 5000},
            fmi={"channel": "redis"},
        )
    )
    assert set(problems(run)) >= {"/model/uri", "/data/uri"}
    assert run.folder.run not in cosmic.executions()


def test_a_checkpoint_of_another_kind_fails_the_run_with_its_reason(
    cosmic: Cosmic, put: Any
) -> None:
    """Its header is one of a checkpoint, which is all that `init` looks at.

    No rank is tried again, and the state machine has each one's failure told to the others.
    """
    other = cosmic.checkpoint.read_bytes().replace(b"concat_block.0.bias", b"concat_block.0.base")
    uri = put("models/other.safetensors", other)
    run = cosmic.drop(cosmic.manifest(model={"uri": uri}, inference={"world_size": 2}))
    status = run.wait()
    assert status.state is State.FAILED
    assert [m["rank"] for m in status.missing] == [0, 1]
    assert "concat_block.0" in status.missing[0]["reason"]
    served = cosmic.stack.invocations("InferFunction")
    outcomes = [one.outcome for one in served if one.execution == status.execution]
    assert sorted(outcomes) == ["error", "error", "ok", "ok"]


def test_an_execution_that_dies_of_what_no_state_catches_ends_with_its_cause(
    cosmic: Cosmic,
) -> None:
    steps, arn = cosmic.target.client("stepfunctions"), cosmic.target.pipeline_arn
    before = len(cosmic.stack.invocations("AggregateFunction"))
    sound = steps.describe_state_machine(stateMachineArn=arn)["definition"]
    broken = json.loads(sound)
    broken["States"]["Admit"] = {"Type": "Pass", "InputPath": "$.nothing", "Next": "HasRoom"}
    steps.update_state_machine(stateMachineArn=arn, definition=json.dumps(broken))
    try:
        run = cosmic.drop(cosmic.manifest())
        status = run.wait()
    finally:
        steps.update_state_machine(stateMachineArn=arn, definition=sound)
    assert (status.state, status.rows_out) == (State.FAILED, 0)
    assert status.execution
    assert steps.describe_execution(executionArn=status.execution)["status"] == "FAILED"
    (reason,) = {missing["reason"] for missing in status.missing}
    assert reason.startswith("States.Runtime")
    asked = [one.source for one in cosmic.stack.invocations("AggregateFunction")[before:]]
    assert "states" not in asked


def test_every_call_of_the_functions_is_one_that_their_roles_allow(
    cosmic: Cosmic, by_world_size: dict[int, pa.Table]
) -> None:
    assert by_world_size
    wanted = {"inference": {"world_size": 2}, "fmi": {"channel": "s3"}, "output": {"hats": True}}
    over_s3 = cosmic.drop(cosmic.manifest(**wanted)).wait()
    assert over_s3.fmi == "ok"
    assert "catalogue.hats" in over_s3.outputs, over_s3.warnings
    iam = cosmic.target.client("iam")
    made = [c for c in cosmic.stack.calls() if c["caller"] in cosmic.stack.functions]
    # Buckets that aren't ours are tried where a manifest names one; IAM would say no.
    ours = f"arn:aws:s3:::{cosmic.bucket}"
    made = [c for c in made if not c["resource"] or c["resource"].startswith(ours)]
    for caller in ("InitFunction", "InferFunction", "AggregateFunction"):
        granted = statements(iam, f"cosmic-{caller.replace('Function', 'Role')}")
        calls = {(c["action"], c["resource"]) for c in made if c["caller"] == caller}
        assert calls
        assert [call for call in sorted(calls) if not allowed(granted, *call)] == []
        assert not allowed(granted, "s3:PutObject", f"{ours}/manifests/m.json")
        assert not allowed(granted, "s3:DeleteObject", f"{ours}/runs/r/status.json")
