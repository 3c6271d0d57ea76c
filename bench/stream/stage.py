"""Where the measurements run: a throttled server, and a plan on it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cosmic.contracts.contract import FormatName
from cosmic.contracts.layout import RunFolder
from cosmic.contracts.manifest import Data, Inference, Manifest, Model
from cosmic.contracts.plan import Plan, make_plan
from cosmic.contracts.plan_parts import pack_parts
from cosmic.contracts.vcpus import MB_PER_VCPU
from cosmic.planning.inputs import inspect_inputs
from cosmic.storage.objects import Store, s3_client

ROOT = Path(__file__).parents[2]
BUCKET = "bench"
LONGEST_S = 600
ROWS = {25: 1278, 100: 5113, 400: 20_452}


@contextmanager
def serving(
    folder: Path, mb_per_s: float, latency_ms: float, threads: int = 1
) -> Iterator[dict[str, str]]:
    """A server over a folder; gives the environment that makes boto3 use it."""
    command = [sys.executable, "-m", "bench.stream.server", str(folder)]
    server = subprocess.Popen(
        [*command, str(mb_per_s), str(latency_ms)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    try:
        assert server.stdout
        port = server.stdout.readline().strip()
        yield {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
            "AWS_ACCESS_KEY_ID": "bench",
            "AWS_SECRET_ACCESS_KEY": "bench",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_REQUEST_CHECKSUM_CALCULATION": "when_required",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(threads * MB_PER_VCPU),
        }
    finally:
        server.kill()
        server.wait()


def run_cold(key: str, model: str, batch_size: int, environment: dict[str, str]) -> dict[str, Any]:
    """The record of a rank over one partition, in a process that begins as the function's does."""
    os.environ.update(environment)
    run = plan_for(key, model, batch_size)[1].run
    return run_module("bench.stream.function", [BUCKET, run], environment)


def run_module(module: str, words: list[str], environment: dict[str, str]) -> dict[str, Any]:
    """The JSON object that a module prints last, run in a fresh process."""
    done = subprocess.run(
        [sys.executable, "-m", module, *words],
        env=os.environ | environment,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        check=True,
        timeout=LONGEST_S,
    )
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def plan_for(
    key: str, model: str, batch_size: int, world_size: int = 1, channel: str = "none"
) -> tuple[Store, Plan, RunFolder]:
    """A run over one partition, unless told otherwise of one rank; its plan is written."""
    store = Store(s3_client())
    uri = f"s3://{BUCKET}/{key}"
    layout: FormatName = "pt" if key.endswith(".pt") else "safetensors"
    data = Data(partitions=(uri,), format=layout)
    chosen = Model(uri=f"s3://{BUCKET}/{model}")
    found = inspect_inputs(store, data, chosen)
    assert found.model, found.problems
    assert not found.problems, found.problems
    manifest = Manifest(
        version=1, job="bench", model=chosen, data=data, inference=Inference(batch_size=batch_size)
    )
    run = f"bench-{os.getpid()}-{world_size}"
    plan = make_plan(
        run, manifest, found.model, found.partitions, world_size=world_size, channel=channel
    )
    folder = RunFolder(BUCKET, "runs/", plan.run)
    store.put(folder.plan, plan.model_dump_json().encode())
    store.put(folder.parts, pack_parts(plan))
    return store, plan, folder
