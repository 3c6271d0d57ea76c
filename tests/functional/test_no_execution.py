"""A run whose status says RUNNING, and of which Step Functions knows no execution."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cosmic.client.changed_input import refuse_changed
from cosmic.client.executions import cancel, resume
from cosmic.client.snapshots import Observer, execution_arn
from cosmic.client.stack import Stack
from cosmic.client.watch import Patience, watch
from cosmic.contracts.layout import RunFolder
from cosmic.contracts.location import Location
from cosmic.contracts.plan import Limits, Plan, parse_plan
from cosmic.contracts.status import State, Status, parse_status, utc_now
from cosmic.errors import InputError, TransientError
from cosmic.planning.start_run import Upload, start_run
from cosmic.storage.objects import Store
from cosmic.storage.run_store import RunStore
from cosmic.storage.status_writer import StatusWriter
from report_support.samples import sample_record

LIMITS = Limits(world_size=3, memory_mb=1769, channels=("s3",))
WAITING = {"StartAt": "W", "States": {"W": {"Type": "Wait", "Seconds": 3600, "End": True}}}
ROLE = "arn:aws:iam::123456789012:role/r"


@dataclass
class Planned:
    """A run that `init` has planned, and a deployment that doesn't know its execution.

    Attributes:
        input: What `init` started its execution with, elsewhere.
    """

    target: Stack
    folder: RunFolder
    store: Store
    input: dict[str, Any]

    @property
    def status(self) -> Status:
        return parse_status(self.store.get(self.folder.status))

    @property
    def plan(self) -> Plan:
        return parse_plan(self.store.get(self.folder.plan))

    def write(self, **changes: Any) -> Status:
        """Change the status."""
        status = self.status.model_copy(update=changes)
        self.store.put(self.folder.status, status.model_dump_json().encode())
        return status

    def finish(self, rank: int) -> None:
        """Leave what a rank leaves."""
        shard = f"rows of {rank}".encode()
        record = sample_record(rank, 4, 25, np.random.default_rng(rank)).model_copy(
            update={"shard_sha256": hashlib.sha256(shard).hexdigest()}
        )
        self.store.put(self.folder.shard(rank, 4), shard)
        self.store.put(self.folder.record(rank, 4), record.model_dump_json().encode())

    def spoil(self, rank: int, part: str) -> None:
        """Damage what a rank has left."""
        shard, record = self.folder.shard(rank, 4), self.folder.record(rank, 4)
        if part == "a bit of the shard":
            text = self.store.get(shard)
            self.store.put(shard, bytes([text[0] ^ 1]) + text[1:])
        elif part == "the shard's end":
            self.store.put(shard, self.store.get(shard)[:-1])
        elif part == "the record's text":
            self.store.put(record, self.store.get(record)[:-1])
        else:
            self.store.put(record, self.store.get(self.folder.record(0, 4)))

    def described(self, arn: str) -> dict[str, Any]:
        found: dict[str, Any] = self.target.client("stepfunctions").describe_execution(
            executionArn=arn
        )
        return found


@pytest.fixture
def planned(
    aws: Callable[[str], Any],
    store: Store,
    bucket: str,
    put_partition: Callable[..., Location],
    make_columns: Callable[..., Any],
    tiny_checkpoint: bytes,
    monkeypatch: pytest.MonkeyPatch,
) -> Planned:
    steps = aws("stepfunctions")
    elsewhere, here = (
        steps.create_state_machine(
            name=f"{bucket}-{name}", definition=json.dumps(WAITING), roleArn=ROLE
        )["stateMachineArn"]
        for name in ("elsewhere", "here")
    )
    put_partition("d/0.safetensors", make_columns(100, size=8))
    store.put(Location(bucket, "models/m"), tiny_checkpoint)
    manifest = {
        "version": 1,
        "job": "test",
        "model": {"uri": f"s3://{bucket}/models/m"},
        "data": {"uri": f"s3://{bucket}/d/"},
        "inference": {"world_size": 4, "batch_size": 8},
        "fmi": {"channel": "auto"},
    }
    at = Location(bucket, "manifests/m.json")
    store.put(at, json.dumps(manifest).encode())
    large = Limits(world_size=4, memory_mb=1769, channels=("s3",))
    outcome = start_run(Upload(at, "v1"), store, steps, elsewhere, large)
    folder = RunFolder(bucket, "runs/", outcome.run)
    target = Stack(aws, {"DataBucketName": bucket, "PipelineArn": here}, poll_s=0.01)
    monkeypatch.setattr("cosmic.client.executions.limits_of", lambda _: LIMITS)
    monkeypatch.setattr(Observer, "_memory", lambda _: 1769)
    arn = elsewhere.replace(":stateMachine:", ":execution:") + f":{outcome.run}"
    started = steps.describe_execution(executionArn=arn)["input"]
    return Planned(target, folder, store, json.loads(started))


def test_following_ends_and_says_what_to_do(planned: Planned) -> None:
    with pytest.raises(TransientError) as ended:
        for _ in watch(planned.target, planned.folder, Patience(start_s=0.05)):
            pass
    assert ended.value.code == "no-execution"
    assert execution_arn(planned.target, planned.folder.run) in ended.value.message
    assert f"cosmic resume {planned.folder.run}" in ended.value.hint


def test_resume_starts_it_as_init_would_have(planned: Planned) -> None:
    before = planned.plan
    resumed = resume(planned.target, planned.folder, planned.status)
    assert resumed.ranks == (0, 1, 2, 3)
    assert resumed.execution == execution_arn(planned.target, planned.folder.run)
    described = planned.described(resumed.execution)
    wanted = {**planned.input, "concurrency": LIMITS.world_size}
    assert (described["status"], json.loads(described["input"])) == ("RUNNING", wanted)
    assert planned.plan == before, "its ranks talk, as planned"
    assert planned.status.execution == resumed.execution
    with pytest.raises(InputError, match="is still running"):
        resume(planned.target, planned.folder, planned.status)


def test_resume_goes_on_where_an_earlier_one_was_interrupted(planned: Planned) -> None:
    for rank in (0, 1):
        planned.finish(rank)
    first = execution_arn(planned.target, planned.folder.run)
    status = planned.write(execution=f"{first}-r1")
    resumed = resume(planned.target, planned.folder, status)
    assert (resumed.ranks, resumed.execution) == ((2, 3), f"{first}-r1")
    assert planned.plan.channel == "none", "those that are there don't talk"
    assert json.loads(planned.store.get(planned.folder.ranks)) == [{"rank": 2}, {"rank": 3}]


@pytest.mark.parametrize(
    "part", ["a bit of the shard", "the shard's end", "the record's text", "the record's rank"]
)
def test_resume_computes_again_what_is_damaged_and_keeps_the_rest(
    planned: Planned, part: str
) -> None:
    for rank in range(4):
        planned.finish(rank)
    planned.spoil(2, part)
    first = execution_arn(planned.target, planned.folder.run)
    status = planned.write(state=State.FAILED, execution=first)
    resumed = resume(planned.target, planned.folder, status)
    assert (resumed.ranks, resumed.execution) == ((2,), f"{first}-r1")
    assert json.loads(planned.store.get(planned.folder.ranks)) == [{"rank": 2}]


def test_a_shard_whose_rank_ended_before_its_record_is_kept_if_it_is_whole(
    planned: Planned, tmp_path: Path
) -> None:
    run, path = RunStore(planned.store, planned.folder), tmp_path / "shard"
    for rank in range(3):
        path.write_bytes(f"rows of {rank}".encode())
        run.write_shard(rank, 4, path)
    planned.store.put(planned.folder.shard(1, 4), b"another's rows")
    planned.store.put(planned.folder.record(2, 4), b"{")
    status = planned.write(state=State.FAILED)
    assert resume(planned.target, planned.folder, status).ranks == (1, 2, 3)


def test_resume_of_rows_that_have_changed_names_both_etags(
    planned: Planned, put_partition: Callable[..., Location], make_columns: Callable[..., Any]
) -> None:
    first = execution_arn(planned.target, planned.folder.run)
    status = planned.write(state=State.FAILED, execution=first)
    (was,) = planned.plan.partitions
    before = planned.plan
    at = put_partition("d/0.safetensors", make_columns(100, size=8, seed=5))
    now = planned.store.head(at).etag
    with pytest.raises(InputError) as refused:
        resume(planned.target, planned.folder, status)
    assert refused.value.code == "input-changed"
    assert f"{at.uri} had the ETag {was.etag} and has {now} now" in refused.value.message
    assert "submit the manifest again" in refused.value.hint
    assert (planned.status, planned.plan) == (status, before), "nothing was written"


def test_a_merge_needs_no_partitions(planned: Planned) -> None:
    refuse_changed(planned.store, planned.plan, ())


def test_whole_ranks_are_all_kept(planned: Planned) -> None:
    for rank in range(4):
        planned.finish(rank)
    assert RunStore(planned.store, planned.folder).whole_ranks(4) == {0, 1, 2, 3}


def test_resume_of_an_end_that_step_functions_has_forgotten_has_a_new_name(
    planned: Planned,
) -> None:
    planned.finish(0)
    first = execution_arn(planned.target, planned.folder.run)
    status = planned.write(state=State.FAILED, execution=first)
    resumed = resume(planned.target, planned.folder, status)
    assert (resumed.ranks, resumed.execution) == ((1, 2, 3), f"{first}-r1")


def test_cancel_says_that_nothing_runs(planned: Planned) -> None:
    with pytest.raises(InputError, match="there is no execution") as refused:
        cancel(planned.target, planned.folder, planned.status)
    assert refused.value.code == "no-execution"
    assert re.search(r"nothing runs; `cosmic resume .*` starts it", refused.value.hint)


def test_resume_of_a_rejected_run_says_what_to_do(planned: Planned) -> None:
    status = planned.write(state=State.REJECTED)
    with pytest.raises(InputError, match="was rejected") as refused:
        resume(planned.target, planned.folder, status)
    assert "submit it again" in refused.value.hint


def test_a_write_whose_reply_was_lost_is_found_again(
    planned: Planned, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace = Store.replace

    def twice(self: Store, at: Location, body: bytes, etag: str) -> str:
        """The client's second try of a write that was done, and whose reply was lost."""
        replace(self, at, body, etag)
        return replace(self, at, body, etag)

    monkeypatch.setattr(Store, "replace", twice)
    writer = StatusWriter(planned.store, planned.folder, "arn")
    ended = planned.status.model_copy(
        update={"state": State.SUCCEEDED, "execution": "arn", "updated_at": utc_now()}
    )
    assert writer.write(ended)
    assert writer.found == ended
    with_page = ended.model_copy(update={"outputs": {"report.html": "s3://b/report.html"}})
    assert writer.amend(with_page), "the page is announced, too"
    assert planned.status == with_page
    other = StatusWriter(planned.store, planned.folder, "arn")
    planned.write(state=State.FAILED)
    assert not other.write(with_page.model_copy(update={"rows_out": 1}))
