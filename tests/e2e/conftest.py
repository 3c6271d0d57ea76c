"""The whole product, deployed from template.yaml on this machine, shared by the tests here.

The data are the held-out real galaxies; a manifest takes the first partitions of them.
"""

from __future__ import annotations

import io
import json
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cosmic.client.stack import Stack, of_local
from cosmic.client.watch import watch
from cosmic.contracts.layout import RunFolder, run_id
from cosmic.contracts.location import Location
from cosmic.contracts.rank_record import RankRecord, parse_record
from cosmic.contracts.status import Status
from cosmic.data.synth.dataset import Sample, write_dataset
from cosmic.storage.objects import Store
from cosmic_local.stack import LocalStack, StackHandle

ROOT = Path(__file__).parents[2]
CHECKPOINT = ROOT / "models/tiny/astromae-tiny.safetensors"
PER_PARTITION = 200
ROWS = 3 * PER_PARTITION


@dataclass
class Run:
    """A run that has been dropped."""

    cosmic: Cosmic
    folder: RunFolder

    def wait(self) -> Status:
        """Its final status."""
        *_, last = watch(self.cosmic.target, self.folder)
        assert last.status
        return last.status

    def object(self, name: str) -> bytes:
        """An object in the run's folder."""
        return self.cosmic.store.get(self.folder.at(name))

    def catalogue(self) -> pa.Table:
        """Its catalogue."""
        return pq.read_table(io.BytesIO(self.object("catalogue.parquet")))

    def records(self, world_size: int) -> list[RankRecord]:
        """Its ranks' records."""
        at = [self.folder.record(r, world_size) for r in range(world_size)]
        return [parse_record(self.cosmic.store.get(a)) for a in at]


@dataclass
class Cosmic:
    """A deployed Cosmic with a model and a data set in its bucket."""

    stack: StackHandle
    target: Stack
    data: Path
    rows: int = ROWS
    checkpoint: Path = CHECKPOINT
    store: Store = field(init=False)

    def __post_init__(self) -> None:
        self.store = self.target.store()

    @property
    def bucket(self) -> str:
        """The data bucket."""
        return self.target.bucket

    def manifest(self, **sections: Any) -> dict[str, Any]:
        """A manifest for the data set; sections are merged into it."""
        document: dict[str, Any] = {
            "version": 1,
            "job": f"test-{uuid.uuid4().hex[:8]}",
            "model": {"uri": f"s3://{self.bucket}/models/tiny.safetensors"},
            "data": {"uri": f"s3://{self.bucket}/data/"},
            "inference": {"limit_rows": self.rows},
        }
        for name, section in sections.items():
            merged = isinstance(section, dict) and isinstance(document.get(name), dict)
            document[name] = {**document[name], **section} if merged else section
        return document

    def drop(self, document: dict[str, Any] | bytes, job: str | None = None) -> Run:
        """Put a manifest into the bucket."""
        text = document if isinstance(document, bytes) else json.dumps(document).encode()
        if isinstance(document, dict):
            job = str(document["job"])
        at = Location(self.bucket, f"manifests/{job}.json")
        version = self.store.put_version(at, text)
        prefix = (
            document.get("output", {}).get("prefix", "runs/")
            if isinstance(document, dict)
            else "runs/"
        )
        assert job
        return Run(self, RunFolder(self.bucket, prefix, run_id(job, at.bucket, at.key, version)))

    def executions(self) -> list[str]:
        """Names of all executions of the pipeline."""
        client = self.target.client("stepfunctions")
        pages = client.get_paginator("list_executions").paginate(
            stateMachineArn=self.target.pipeline_arn
        )
        return [e["name"] for page in pages for e in page["executions"]]

    def await_object(self, at: Location, timeout_s: float = 60.0) -> None:
        """Return as soon as an object is there."""
        give_up = time.monotonic() + timeout_s
        folder = Location(at.bucket, at.key.rpartition("/")[0])
        while not any(found.key == at.key for found in self.store.list(folder)):
            assert time.monotonic() < give_up, f"{at.uri} did not come"
            time.sleep(0.05)

    def serving(self, run: str, rank: int | None, timeout_s: float = 60.0) -> int:
        """Pid of the process that serves a rank, or (None) aggregate, as soon as there is one."""
        give_up = time.monotonic() + timeout_s
        while time.monotonic() < give_up:
            for invocation in self.stack.running():
                event = json.loads(invocation["event"])
                named = event["run"]["run"] if "execution" in event else event.get("run")
                if named == run and event.get("rank") == rank:
                    return int(invocation["pid"])
            time.sleep(0.005)
        raise AssertionError(f"rank {rank} of {run} was not seen running")


@pytest.fixture(scope="module")
def cosmic(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cosmic]:
    """The deployed product."""
    data = tmp_path_factory.mktemp("data")
    write_dataset(data, Sample("catalog"), PER_PARTITION)
    with LocalStack(template=ROOT / "template.yaml", rendezvous=True) as stack:
        made = Cosmic(stack, of_local(stack), data)
        made.store.upload(CHECKPOINT, Location(made.bucket, "models/tiny.safetensors"))
        for path in data.iterdir():
            made.store.upload(path, Location(made.bucket, f"data/{path.name}"))
        yield made


@pytest.fixture
def put(cosmic: Cosmic) -> Callable[[str, bytes], str]:
    """Put an object into the bucket; gives its URI."""

    def write(key: str, body: bytes) -> str:
        at = Location(cosmic.bucket, key)
        cosmic.store.put(at, body)
        return at.uri

    return write
