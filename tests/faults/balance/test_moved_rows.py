"""Rows that move between ranks, which are processes: taken over, or lost with the helper."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))

from cosmic.contracts.catalogue_schema import table_of
from cosmic.contracts.failure_note import FailureNote
from cosmic.contracts.layout import RunFolder
from cosmic.contracts.location import Location
from cosmic.contracts.manifest import Data, Fmi, Inference, Manifest, Model
from cosmic.contracts.plan import make_plan
from cosmic.contracts.rank_record import RankRecord, parse_record
from cosmic.contracts.shard import read_shard
from cosmic.planning.inputs import inspect_inputs
from cosmic.ranks.environment import RankEnvironment
from cosmic.ranks.run_rank import withdraw_rank
from cosmic.ranks.task import RankTask
from cosmic.storage.objects import Store
from cosmic.storage.run_store import RunStore
from fmilib_support.fixtures import rendezvous
from fmilib_support.server import DEPLOYMENT_SECRET, Rendezvous

__all__ = ["rendezvous"]
CHECKPOINT = Path(__file__).parents[3] / "models/tiny/astromae-tiny.safetensors"
BATCH, BATCHES_A_RANK = 16, 10
EVERYTHING = 1_000_000
END_S = 60.0


class Crew:
    """The ranks of runs over one partition."""

    def __init__(self, store: Store, bucket: str, environment: dict[str, str]) -> None:
        self._store, self._bucket = store, bucket
        self.environment = environment
        self._started: list[subprocess.Popen[str]] = []

    def plan(self, world_size: int, channel: str, timeout_s: float) -> RunFolder:
        """Plan a run."""
        data = Data(uri=f"s3://{self._bucket}/data/")
        model = Model(uri=f"s3://{self._bucket}/model")
        found = inspect_inputs(self._store, data, model)
        assert found.model, found.problems
        manifest = Manifest(
            version=1,
            job="balance",
            model=model,
            data=data,
            inference=Inference(batch_size=BATCH),
            fmi=Fmi(timeout_s=timeout_s),
        )
        run = f"balance-{uuid.uuid4().hex[:12]}"
        plan = make_plan(
            run, manifest, found.model, found.partitions, world_size=world_size, channel=channel
        )
        folder = RunFolder(self._bucket, "runs/", run)
        self._store.put(folder.plan, plan.model_dump_json().encode())
        return folder

    def task(self, folder: RunFolder, rank: int) -> RankTask:
        """What a rank is asked."""
        return RankTask(bucket=folder.bucket, prefix=folder.prefix, run=folder.run, rank=rank)

    def start(
        self, folder: RunFolder, rank: int, reads: int = EVERYTHING, batches: int = EVERYTHING
    ) -> subprocess.Popen[str]:
        """Start a rank that is held as `rank.py` says."""
        command = [sys.executable, "-W", "error", str(Path(__file__).with_name("rank.py"))]
        command += [self.task(folder, rank).model_dump_json(), str(reads), str(batches)]
        process = subprocess.Popen(
            command,
            env=os.environ | self.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,  # OpenVINO's telemetry forks: what is killed is the group
        )
        self._started.append(process)
        return process

    def replace_model(self) -> None:
        """Put another model in the place of the planned one."""
        self._store.put(Location(self._bucket, "model"), CHECKPOINT.read_bytes()[::-1])

    def await_shard(self, folder: RunFolder, rank: int, world_size: int) -> None:
        """Return once a rank has predicted all its rows."""
        until = time.monotonic() + END_S
        shard = folder.shard(rank, world_size)
        while not list(self._store.keys_beginning(shard, 1)):
            assert time.monotonic() < until
            time.sleep(0.1)

    def rows(self, folder: RunFolder, world_size: int) -> pa.Table:
        """The rows of all shards that are there, in rank order."""
        ids = RunStore(self._store, folder).plan().id_bytes
        shards = [folder.shard(rank, world_size) for rank in range(world_size)]
        return pa.concat_tables(table_of(read_shard(self._store.get(s), ids)) for s in shards)

    def close(self) -> None:
        """Kill what is left."""
        for process in self._started:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.communicate()


def let_go(process: subprocess.Popen[str]) -> None:
    """Let go of a rank."""
    assert process.stdin
    process.stdin.write("go\n")
    process.stdin.flush()


def go_on(process: subprocess.Popen[str]) -> RankRecord:
    """Let go of a rank and wait for its record."""
    out, _ = process.communicate("go\n", timeout=END_S)
    assert process.returncode == 0
    return parse_record(out.rpartition("held\n")[2].encode())


def await_held(process: subprocess.Popen[str]) -> None:
    """Return once a rank is held in front of a batch."""
    assert process.stdout
    assert process.stdout.readline() == "held\n"


@pytest.fixture
def crew(
    aws_endpoint: str,
    store: Store,
    bucket: str,
    rendezvous: Rendezvous,
    make_columns: Any,
    put_partition: Callable[..., Location],
    request: pytest.FixtureRequest,
) -> Iterator[Crew]:
    columns = make_columns(2 * BATCHES_A_RANK * BATCH)
    if getattr(request, "param", None) == "text ids":
        columns["object_id"] = np.array([f"SDSS J{i}" for i in columns["object_id"]], "S")
    put_partition("data/0.safetensors", columns)
    store.put(Location(bucket, "model"), CHECKPOINT.read_bytes())
    environment = {
        "AWS_ENDPOINT_URL": aws_endpoint,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "1769",
        "FMI_RENDEZVOUS": rendezvous.address,
        "FMI_DEPLOYMENT_SECRET": DEPLOYMENT_SECRET.hex(),
    }
    made = Crew(store, bucket, environment)
    yield made
    made.close()


@pytest.fixture
def expected(crew: Crew) -> pa.Table:
    """The rows of one rank that has nobody to talk to."""
    folder = crew.plan(1, "none", 1.0)
    record = go_on(crew.start(folder, 0))
    assert (record.fmi, record.idle_s) == ("none", 0.0)
    return crew.rows(folder, 1)


@pytest.mark.parametrize("crew", ["text ids"], indirect=True)
def test_an_idle_rank_takes_rows_over_and_none_differs(crew: Crew, expected: pa.Table) -> None:
    """The late rank can't read on until the idle one computes its rows."""
    folder = crew.plan(2, "direct", 60.0)
    late = crew.start(folder, 0, reads=BATCH)
    idle = crew.start(folder, 1, batches=BATCHES_A_RANK)
    await_held(idle)
    let_go(idle)
    first, second = go_on(late), go_on(idle)
    assert (first.fmi, second.fmi) == ("ok", "ok"), (first.fmi_error, second.fmi_error)
    assert (first.rows, second.rows) == (BATCHES_A_RANK * BATCH, BATCHES_A_RANK * BATCH)
    assert second.rows_taken >= first.rows_given >= BATCH
    assert (first.rows_taken, second.rows_given) == (0, 0)
    assert second.helped_s > second.helped_compute_s > 0
    assert second.idle_s >= 0
    assert crew.rows(folder, 2).equals(expected)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
def test_rows_that_are_lost_with_their_helper_are_computed_by_their_owner(
    crew: Crew, expected: pa.Table, how: signal.Signals
) -> None:
    folder = crew.plan(2, "direct", 3.0)
    late = crew.start(folder, 0, reads=BATCH)
    helper = crew.start(folder, 1, batches=BATCHES_A_RANK)
    await_held(helper)
    os.killpg(helper.pid, how)
    record = go_on(late)
    assert (record.rows, record.rows_given) == (BATCHES_A_RANK * BATCH, 0)
    assert (record.fmi, record.fmi_error is not None) == ("degraded", True)
    assert crew.rows(folder, 2).equals(expected)


def test_two_idle_ranks_of_four_take_rows_over_from_two_late_ones(
    crew: Crew, expected: pa.Table
) -> None:
    """Each helper is held when it begins a batch of another rank, until both have one."""
    each = BATCHES_A_RANK // 2
    folder = crew.plan(4, "direct", 60.0)
    late = {r: crew.start(folder, r, reads=(r * each + 1) * BATCH) for r in (0, 2)}
    helpers = {r: crew.start(folder, r, batches=each) for r in (1, 3)}
    for helper in helpers.values():
        await_held(helper)
    for process in (late | helpers).values():
        let_go(process)
    records = {r: go_on(process) for r, process in (late | helpers).items()}
    assert {record.fmi for record in records.values()} == {"ok"}
    assert [record.rows for record in records.values()] == [each * BATCH] * 4
    assert all(records[r].rows_taken >= BATCH for r in helpers)
    given = sum(records[r].rows_given for r in late)
    assert 2 * BATCH <= given <= sum(records[r].rows_taken for r in helpers)
    assert crew.rows(folder, 4).equals(expected)


def test_a_rank_that_fails_for_good_is_not_waited_for(crew: Crew) -> None:
    """The model changes before rank 1 reads it, while rank 0 waits for rank 1."""
    folder = crew.plan(2, "direct", END_S)
    waiting = crew.start(folder, 0, batches=0)
    await_held(waiting)
    let_go(waiting)
    crew.await_shard(folder, 0, 2)
    crew.replace_model()
    assert crew.start(folder, 1).wait(END_S) == 1
    assert_told(go_on(waiting), "model")


def test_a_rank_that_could_not_say_that_it_failed_is_not_waited_for(
    crew: Crew, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rank 1 was killed on each of its tries; rank 0 comes later than that notice."""
    folder = crew.plan(2, "s3", END_S)
    late = crew.start(folder, 0, batches=0)
    await_held(late)
    for name, value in crew.environment.items():
        monkeypatch.setenv(name, value)
    environment = RankEnvironment.from_environment(os.environ, store, secrets=None)  # type: ignore[arg-type]
    note = FailureNote(rank=1, error="Runtime.ExitError", cause="signal: killed")
    withdraw_rank(crew.task(folder, 1), environment, note)
    assert_told(go_on(late), "Runtime.ExitError: signal: killed")


def assert_told(record: RankRecord, reason: str) -> None:
    """Rank 0 kept its rows and knows why rank 1 doesn't come."""
    assert (record.rows, record.fmi) == (BATCHES_A_RANK * BATCH, "degraded")
    assert record.fmi_error
    assert record.fmi_error.startswith("Aborted: rank 1 stopped the job: it failed for good: ")
    assert reason in record.fmi_error
