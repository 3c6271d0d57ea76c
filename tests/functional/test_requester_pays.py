"""Requester Pays: every read of a run's input says that its reader pays, from listing to rank."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from botocore.awsrequest import AWSResponse
from urllib3.response import HTTPResponse

from cosmic.client.changed_input import refuse_changed
from cosmic.contracts.layout import RunFolder
from cosmic.contracts.location import Location
from cosmic.contracts.manifest import Manifest, parse_manifest
from cosmic.contracts.plan import Limits, Plan
from cosmic.costs.workload import of_manifest
from cosmic.data.synth.dataset import Sample, write_dataset
from cosmic.errors import InputError
from cosmic.planning.inputs import RunInputs
from cosmic.planning.plan_run import plan_run, survey_input
from cosmic.ranks.environment import RankEnvironment
from cosmic.ranks.run_rank import run_rank
from cosmic.ranks.task import RankTask
from cosmic.storage.objects import Store

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

CHECKPOINT = Path(__file__).parents[2] / "models/tiny/astromae-tiny.safetensors"
ROWS, BATCH = 16, 8
DENIED = b"<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"
READS: dict[str, Callable[[Store, Location, Path], Any]] = {
    "get": lambda store, at, _: store.get(at),
    "get_range": lambda store, at, _: store.get_range(at, 0, 1, etag=store.head(at).etag),
    "head": lambda store, at, _: store.head(at),
    "list": lambda store, at, _: list(store.list(Location(at.bucket, ""))),
    "keys_beginning": lambda store, at, _: store.keys_beginning(at, 1),
    "get_current": lambda store, at, _: store.get_current(at),
    "download": lambda store, at, path: store.download(at, path),
}


class RequesterPays:
    """S3's answer to reads of a Requester Pays bucket, by any account but its owner's."""

    def __init__(self, bucket: str) -> None:
        self.bucket = bucket
        self.paid = 0

    def __call__(self, request: Any, **_: Any) -> AWSResponse | None:
        """A refusal of what nobody pays for; None: S3 answers."""
        if urlsplit(request.url).path.split("/")[1] != self.bucket or request.method == "PUT":
            return None
        if request.headers.get("x-amz-request-payer") in ("requester", b"requester"):
            self.paid += 1
            return None
        unread = BytesIO(b"" if request.method == "HEAD" else DENIED)
        raw = HTTPResponse(unread, preload_content=False)
        return AWSResponse(request.url, 403, {}, raw)  # type: ignore[arg-type]


@pytest.fixture
def survey(s3: S3Client, bucket: str) -> Iterator[RequesterPays]:
    """A bucket of somebody else, with data and a model."""
    rule = RequesterPays(f"{bucket}-survey")
    s3.create_bucket(Bucket=rule.bucket)
    events: Any = s3.meta.events
    events.register("before-send.s3", rule)
    yield rule
    events.unregister("before-send.s3", rule)


@pytest.fixture
def manifest(store: Store, survey: RequesterPays, tmp_path: Path) -> Manifest:
    (partition,) = write_dataset(tmp_path / "d", Sample("catalog", objects=ROWS), ROWS)
    store.upload(partition, Location(survey.bucket, "d/0.safetensors"))
    store.upload(CHECKPOINT, Location(survey.bucket, "m"))
    return parse_manifest(
        json.dumps(
            {
                "version": 1,
                "job": "payer",
                "model": {"uri": f"s3://{survey.bucket}/m"},
                "data": {"uri": f"s3://{survey.bucket}/d/", "request_payer": "requester"},
                "inference": {"batch_size": BATCH, "world_size": 1},
                "fmi": {"channel": "none"},
            }
        ).encode()
    )


def planned(manifest: Manifest, store: Store) -> tuple[RunInputs, Plan]:
    limits = Limits(world_size=1, memory_mb=1769, channels=())
    found = survey_input(manifest, store, limits)
    plan = plan_run("payer-run", manifest, found, limits)
    assert isinstance(plan, Plan), plan
    return found, plan


@pytest.mark.parametrize("method", READS)
def test_every_read_says_who_pays(
    store: Store, survey: RequesterPays, tmp_path: Path, method: str
) -> None:
    at, read = Location(survey.bucket, "key"), READS[method]
    store.put(at, b"x")
    with pytest.raises(InputError) as caught:
        read(store, at, tmp_path / "file")
    assert caught.value.code == "access-denied"
    assert '"request_payer": "requester"' in caught.value.hint
    read(store.paid_by("requester"), at, tmp_path / "file")
    assert survey.paid


def test_requests_are_counted_whoever_pays(store: Store, survey: RequesterPays) -> None:
    at, before = Location(survey.bucket, "key"), store.requests
    store.put(at, b"x")
    store.paid_by("requester").get(at)
    assert store.requests.since(before) == (1, 1)


def test_a_run_reads_a_requester_pays_bucket_from_listing_to_shard(
    store: Store, bucket: str, manifest: Manifest
) -> None:
    _, plan = planned(manifest, store)
    folder = RunFolder(bucket, "runs/", plan.run)
    store.put(folder.plan, plan.model_dump_json().encode())
    settings = {"AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "1769"}
    environment = RankEnvironment.from_environment(settings, store, secrets=None)  # type: ignore[arg-type]
    task = RankTask(bucket=bucket, prefix="runs/", run=plan.run, rank=0)
    assert run_rank(task, environment, deadline=float("inf")).rows == ROWS


def test_without_the_field_the_manifest_is_refused_at_both_places(
    store: Store, manifest: Manifest
) -> None:
    unpaid = manifest.data.model_copy(update={"request_payer": None})
    limits = Limits(world_size=1, memory_mb=1769, channels=())
    found = survey_input(manifest.model_copy(update={"data": unpaid}), store, limits)
    assert [(p.pointer, p.code) for p in found.problems] == [
        ("/model/uri", "access-denied"),
        ("/data/uri", "access-denied"),
    ]


def test_resume_and_tune_pay_as_well(
    store: Store, manifest: Manifest, survey: RequesterPays, tmp_path: Path
) -> None:
    _, plan = planned(manifest, store)
    changed = tmp_path / "changed"
    changed.write_bytes(b"x")
    store.upload(changed, Location(survey.bucket, "d/0.safetensors"))
    with pytest.raises(InputError, match="had the ETag"):
        refuse_changed(store, plan, [0])
    store.upload(tmp_path / "d" / "0.safetensors", Location(survey.bucket, "d/0.safetensors"))
    text = manifest.model_dump_json(exclude_none=True).encode()
    assert of_manifest(text, store, tmp_path / "m").job.rows == ROWS
    assert (tmp_path / "m").read_bytes() == CHECKPOINT.read_bytes()
