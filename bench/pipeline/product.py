"""The product on the local stack: manifests dropped, runs followed and timed."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from bench.pipeline.busy import descendants_s, own_s
from bench.stream.inputs import write_rows
from bench.stream.stage import ROOT
from cosmic.client.stack import Stack, of_local
from cosmic.client.watch import watch
from cosmic.contracts.layout import RunFolder, run_id
from cosmic.contracts.location import Location
from cosmic.contracts.manifest import MANIFEST_PREFIX
from cosmic.contracts.status import State
from cosmic_local.lambda_pool.invocation_log import InvocationRecord
from cosmic_local.stack import LocalStack

ROWS = 1280  # of a partition: whole batches of 64, 26 MB
LOOK_S = 0.02


@dataclass(frozen=True)
class Timed:
    """A run that has ended.

    Attributes:
        wall_s: From the manifest's upload to the final status.
        functions_s: The processor's time of all functions and the rendezvous in it.
        emulator_s: And that of the emulator: S3, Step Functions, Lambda's API.
        stages: Seconds of each part of that wall, by name, in order.
        metrics: The run's `metrics.json`.
    """

    wall_s: float
    functions_s: float
    emulator_s: float
    stages: dict[str, float]
    metrics: dict[str, Any]


@dataclass
class Product:
    """A deployed Cosmic whose bucket holds `partitions` equal partitions of `ROWS` rows."""

    stack: LocalStack
    target: Stack
    partitions: int

    def run(self, rows: int, world_size: int, channel: str = "auto") -> Timed:
        """Drop a manifest for the first so many rows, and wait."""
        job = f"bench-{uuid.uuid4().hex[:8]}"
        bucket = self.target.bucket
        document = {
            "version": 1,
            "job": job,
            "model": {"uri": f"s3://{bucket}/models/model.safetensors"},
            "data": {"uri": f"s3://{bucket}/data/"},
            "inference": {"world_size": world_size, "limit_rows": rows},
            "fmi": {"channel": channel},
        }
        at = Location(bucket, f"{MANIFEST_PREFIX}{job}.json")
        store, text = self.target.store(), json.dumps(document).encode()
        before = self._busy_s()
        dropped = time.time()
        version = store.put_version(at, text)
        folder = RunFolder(bucket, "runs/", run_id(job, bucket, at.key, version))
        wall_s, last = 0.0, None
        for last in watch(self.target, folder):
            if not wall_s and last.status and last.status.state.final:
                wall_s = time.time() - dropped
        functions_s, emulator_s = (b - a for a, b in zip(before, self._busy_s(), strict=True))
        assert last
        assert last.status
        assert last.status.state is State.SUCCEEDED, last.status
        assert last.status.rows_out == rows
        metrics = json.loads(store.get(folder.metrics))
        stages = self._stages(dropped, wall_s, metrics)
        return Timed(wall_s, functions_s, emulator_s, stages, metrics)

    def _busy_s(self) -> tuple[float, float]:
        pid = self.stack.info.pid
        return descendants_s(pid), own_s(pid)

    def _stages(self, dropped: float, wall_s: float, metrics: dict[str, Any]) -> dict[str, float]:
        """Where the wall went, from the stack's records of invocations and the ranks' own."""
        ranks = metrics["ranks"]
        finished = max(r["finished_at_s"] for r in ranks)
        init = self._first("InitFunction", dropped)
        merge = self._first("AggregateFunction", finished)
        marks = {
            "event": _seconds(init.start),
            "init": _seconds(init.end),
            "to first rank": min(r["started_at_s"] for r in ranks),
            "ranks infer": max(r["inferred_at_s"] for r in ranks),
            "shards, FMI": finished,
            "to aggregate": _seconds(merge.start),
            "aggregate": dropped + wall_s,
        }
        stages, before = {}, dropped
        for name, at in marks.items():
            stages[name], before = at - before, at
        return stages

    def _first(self, function: str, after: float) -> InvocationRecord:
        """The first invocation of a function that began then or later, once it has ended."""
        give_up = time.monotonic() + 10
        while time.monotonic() < give_up:
            calls = self.stack.invocations(function)
            found = [r for r in calls if _seconds(r.start) >= after - LOOK_S]
            if found:
                return min(found, key=lambda r: r.start)
            time.sleep(LOOK_S)
        raise AssertionError(f"no invocation of {function}")


def _seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


@contextmanager
def deployed(folder: Path, model: Path, partitions: int) -> Iterator[Product]:
    """The product with a model and partitions in its bucket; gone when the block ends."""
    partition = folder / "part.safetensors"
    write_rows(partition, ROWS, "safetensors")
    with LocalStack(template=ROOT / "template.yaml", rendezvous=True, idle_s=600) as stack:
        target = replace(of_local(stack), poll_s=LOOK_S)
        store = target.store()
        store.upload(model, Location(target.bucket, "models/model.safetensors"))
        for n in range(partitions):
            store.upload(partition, Location(target.bucket, f"data/{n}.safetensors"))
        yield Product(stack, target, partitions)
