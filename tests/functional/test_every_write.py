"""Whatever writes to AWS dies after each single write: repeated, it ends as if undisturbed.

`resume` and `cancel` have a file of their own, for there is more to say about them.
"""

from __future__ import annotations

import io
import json
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import pyarrow.parquet as pq
import pytest

from cosmic.client.delete_data import remove_data
from cosmic.client.stack import Stack
from cosmic.contracts.layout import RunFolder
from cosmic.contracts.location import Location
from cosmic.contracts.manifest import Data, Fmi, Inference, Manifest, Model
from cosmic.contracts.plan import Limits, make_plan
from cosmic.contracts.plan_parts import read_part
from cosmic.planning.inputs import inspect_inputs
from cosmic.planning.start_run import Outcome, Upload, start_run
from cosmic.ranks.environment import RankEnvironment
from cosmic.ranks.run_rank import run_rank
from cosmic.ranks.task import RankTask
from cosmic.storage.objects import Store
from fault_support.dying import interrupt, writes_of
from functional.test_admission import Runs, runs
from functional.test_aggregate import Run, columns, plain_page, run

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

__all__ = ["columns", "plain_page", "run", "runs"]
ACCOUNT = "arn:aws:iam::123456789012"
LIMITS = Limits(world_size=8, memory_mb=1769, channels=("direct",))
CHECKPOINT = Path(__file__).parents[2] / "models/tiny/astromae-tiny.safetensors"


def text_of(data: bytes) -> str:
    """An object as JSON; of a plan in parts, the first."""
    if data.startswith((b"{", b"[")):
        return data.decode()
    return read_part(lambda offset, length: data[offset : offset + length], 0).model_dump_json()


@dataclass(frozen=True)
class Act:
    """Something that writes, and what there is to see when it has ended.

    Attributes:
        act: Does it; it is also what repeats it.
        end: What it has left, without names of its own and times.
    """

    act: Callable[[], object]
    end: Callable[[], Any]


def assert_every_write_may_be_the_last(make: Callable[[], Act], writes: list[str]) -> None:
    """Do it undisturbed; then again, dying after each single write in turn, and repeated.

    Args:
        make: Prepares the act anew each time.
        writes: All that the undisturbed one writes, in any order.
    """
    calm = make()
    assert sorted(writes_of(calm.act)) == sorted(writes)
    undisturbed = calm.end()
    for write in range(1, len(writes) + 1):
        disturbed = make()
        interrupt(disturbed.act, write)
        disturbed.act()
        assert disturbed.end() == undisturbed, f"died after write {write}"


@pytest.mark.parametrize("good", [True, False])
def test_init(
    aws: Callable[[str], Any],
    bucket: str,
    store: Store,
    put_partition: Callable[..., Location],
    make_columns: Callable[..., Any],
    tiny_checkpoint: bytes,
    good: bool,
) -> None:
    steps = aws("stepfunctions")
    definition = json.dumps({"StartAt": "Done", "States": {"Done": {"Type": "Succeed"}}})
    arn = steps.create_state_machine(
        name=bucket, definition=definition, roleArn=f"{ACCOUNT}:role/r"
    )["stateMachineArn"]
    put_partition("d/0.safetensors", make_columns(100, size=8))
    model = Location(bucket, "models/m")
    store.put(model, tiny_checkpoint)
    uri = model.uri if good else model.uri + "-missing"
    manifest = {
        "version": 1,
        "job": "test",
        "model": {"uri": uri},
        "data": {"uri": f"s3://{bucket}/d/"},
        "inference": {"world_size": 2, "batch_size": 8},
    }
    at = Location(bucket, "manifests/m.json")
    store.put(at, json.dumps(manifest).encode())

    def make() -> Act:
        upload = Upload(at, uuid.uuid4().hex)

        def act() -> Outcome:
            return start_run(upload, store, steps, arn, LIMITS)

        def end() -> dict[str, Any]:
            name = act().run  # once more changes nothing
            prefix = f"runs/{name}/"
            found = {
                o.key.removeprefix(prefix): json.loads(
                    text_of(store.get(Location(bucket, o.key))).replace(name, "RUN")
                )
                for o in store.list(Location(bucket, prefix))
            }
            del found["status.json"]["updated_at"], found["manifest.json"]["source"]
            for name_of_plan in {"plan.json", "plan.parts"} & set(found):
                found[name_of_plan].pop("planned_at", None)
            pages = steps.list_executions(stateMachineArn=arn)["executions"]
            found["started"] = [e["name"] for e in pages].count(name)
            return found

        return Act(act, end)

    started = ["PutObject"] * 5 + ["StartExecution"]
    assert_every_write_may_be_the_last(make, started if good else ["PutObject"] * 2)


def test_admission(runs: Runs) -> None:
    holder = runs.start(8)

    def make() -> Act:
        for queued in runs.store.list(Location(runs.bucket, "admission/")):
            runs.store.delete(Location(runs.bucket, queued.key))
        waiting = runs.start(5)
        runs.ask(holder)
        return Act(
            lambda: runs.ask(waiting),
            lambda: (runs.ask(waiting).admitted, runs.queued() == [holder.run, waiting.run]),
        )

    assert_every_write_may_be_the_last(make, ["PutObject"])


def test_a_rank(
    aws_endpoint: str,
    bucket: str,
    store: Store,
    put_partition: Callable[..., Location],
    make_columns: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    put_partition("d/0.safetensors", make_columns(40, size=32))
    store.upload(CHECKPOINT, Location(bucket, "models/m"))
    data, model = Data(uri=f"s3://{bucket}/d/"), Model(uri=f"s3://{bucket}/models/m")
    found = inspect_inputs(store, data, model)
    planned = found.model
    assert planned, found.problems
    for name, value in {
        "AWS_ENDPOINT_URL": aws_endpoint,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
    }.items():
        monkeypatch.setenv(name, value)
    environment = {"AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "1769", "FMI_DEPLOYMENT_SECRET": "00" * 32}
    function = RankEnvironment.from_environment(environment, store, boto3.client("secretsmanager"))
    manifest = Manifest(
        version=1,
        job="rank",
        model=model,
        data=data,
        inference=Inference(batch_size=16),
        fmi=Fmi(timeout_s=10),
    )

    def make() -> Act:
        name = f"rank-{uuid.uuid4().hex[:12]}"
        plan = make_plan(name, manifest, planned, found.partitions, world_size=1, channel="s3")
        folder = RunFolder(bucket, "runs/", name)
        store.put(folder.plan, plan.model_dump_json().encode())
        tries = iter(range(9))

        def act() -> object:
            task = RankTask(bucket=bucket, prefix="runs/", run=name, rank=0, attempt=next(tries))
            return run_rank(task, function, deadline=float("inf"))

        def end() -> Any:
            record = json.loads(store.get(folder.record(0, 1)))
            facts = {key: record[key] for key in ("rows", "shard_sha256", "fmi", "fmi_error")}
            names = [o.key.removeprefix(folder.at("").key) for o in store.list(folder.at(""))]
            bodies = [folder.shard(0, 1), folder.gathered, folder.collective]
            return facts, names, [store.get(at) for at in bodies]

        return Act(act, end)

    assert_every_write_may_be_the_last(make, ["PutObject"] * 4)


@pytest.mark.parametrize("hats", [False, True])
def test_aggregate(
    run: Callable[..., Run],
    columns: list[dict[str, Any]],
    s3: S3Client,
    tmp_path: Path,
    hats: bool,
) -> None:
    for each in columns:
        each["ra"][:], each["dec"][:] = 10.0, 20.0  # one tile
    done = run(1)
    done.plan = done.plan.model_copy(update={"hats": hats})

    def make() -> Act:
        done.folder = RunFolder(done.folder.bucket, "runs/", f"test-{uuid.uuid4().hex[:12]}")
        done.write()
        folder, scratch = done.folder, tmp_path / done.folder.run
        scratch.mkdir()

        def act() -> object:
            done.folder = folder
            return done.aggregate(scratch)

        def end() -> Any:
            done.folder = folder
            status = json.loads(done.object("status.json"))
            outputs = {
                name: uri.replace(folder.run, "RUN") for name, uri in status["outputs"].items()
            }
            table = pq.read_table(io.BytesIO(done.object("catalogue.parquet")))
            shards = [folder.shard(rank, 1) for rank in range(1)]
            tags = [s3.get_object_tagging(Bucket=at.bucket, Key=at.key)["TagSet"] for at in shards]
            names = [o.key.removeprefix(folder.at("").key) for o in done.store.list(folder.at(""))]
            facts = {k: v for k, v in status.items() if k not in ("updated_at", "outputs")}
            return facts, outputs, table, tags, names

        return Act(act, end)

    of_hats = 7 if hats else 0  # a tile, and what describes it
    writes = ["PutObject"] * (6 + of_hats) + ["PutObjectTagging"] * 2
    assert_every_write_may_be_the_last(make, writes)


def test_destroy(aws: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cosmic.client.delete_data.MOST_PER_REQUEST", 2)
    s3 = aws("s3")

    def make() -> Act:
        name = f"test-{uuid.uuid4().hex[:12]}"
        s3.create_bucket(Bucket=name)
        for key in range(3):
            s3.put_object(Bucket=name, Key=f"runs/{key}", Body=b"x")
        target = Stack(lambda _: s3, {"DataBucketName": name}, poll_s=0.1)
        return Act(
            lambda: remove_data(target),
            lambda: name in [found["Name"] for found in s3.list_buckets()["Buckets"]],
        )

    assert_every_write_may_be_the_last(make, ["DeleteObjects"] * 2 + ["DeleteBucket"])
