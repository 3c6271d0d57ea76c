"""`python -m bench.console`: the console's list of runs over a bucket that has many.

The bucket of a local stack gets the statuses and figures of so many runs, its Step Functions an
execution of each. Then the console's list is asked for as its page does: for the first time, again,
and far back. Last, every status is read once, one after the other, as the console did at 6916a24.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from cosmic.contracts.layout import RunFolder
from cosmic.contracts.status import State, Status
from cosmic.storage.objects import Store
from cosmic_local.console.runs import NEWEST, RunList
from cosmic_local.stack import LocalStack

TEMPLATE = Path(__file__).parents[1] / "template.yaml"
AT_ONCE = 8
NOTHING = {"StartAt": "End", "States": {"End": {"Type": "Pass", "End": True}}}
ROLE = "arn:aws:iam::123456789012:role/nobody"
METRICS = {"photo_z": {"n": 64, "sigma_nmad": 0.02}, "run": {"wall_s": 20.0}}


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="bench.console", description=__doc__)
    parser.add_argument("--runs", type=int, default=500)
    runs = parser.parse_args().runs
    with LocalStack(TEMPLATE) as stack:
        clients: Callable[[str], Any] = cache(stack.client)
        bucket = stack.outputs["DataBucketName"]
        pipeline = _filled(clients, bucket, runs)
        shown = RunList(clients, bucket, ("runs/",), pipeline)
        print("| list | S3 requests | Step Functions requests | s |\n|---|---|---|---|")
        last = max(0, runs - NEWEST)
        for name, first in (("newest", 0), ("again", 0), ("oldest", last), ("again", last)):
            with _counted(clients, f"{name} {NEWEST}"):
                found = shown.page(first=first)
            if found["total"] != runs:
                raise SystemExit(f"{found['total']} runs listed of {runs}")
        with _counted(clients, "every status"):
            for number in range(runs):
                shown.status(_folder(bucket, number))
    return 0


@contextmanager
def _counted(clients: Callable[[str], Any], name: str) -> Iterator[None]:
    """Print what a block took."""
    counts: Counter[str] = Counter()

    def count(model: Any, **_: Any) -> None:
        counts[model.service_model.service_name] += 1

    for service in ("s3", "stepfunctions"):
        clients(service).meta.events.register("before-call", count, unique_id="bench")
    began = time.monotonic()
    try:
        yield
    finally:
        took_s = time.monotonic() - began
        for service in ("s3", "stepfunctions"):
            clients(service).meta.events.unregister("before-call", unique_id="bench")
    print(f"| {name} | {counts['s3']} | {counts['stepfunctions']} | {took_s:.2f} |", flush=True)


def _filled(clients: Callable[[str], Any], bucket: str, runs: int) -> str:
    """Write the runs; returns the state machine that their executions are of."""
    steps, store = clients("stepfunctions"), Store(clients("s3"))
    made = steps.create_state_machine(name="bench", definition=json.dumps(NOTHING), roleArn=ROLE)
    for number in range(runs):
        name = _folder(bucket, number).run
        steps.start_execution(stateMachineArn=made["stateMachineArn"], name=name)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(lambda number: _write(store, _folder(bucket, number)), range(runs)))
    return str(made["stateMachineArn"])


def _folder(bucket: str, number: int) -> RunFolder:
    return RunFolder(bucket, "runs/", f"bench-{number:012x}")


def _write(store: Store, folder: RunFolder) -> None:
    status = Status(
        run=folder.run,
        state=State.SUCCEEDED,
        manifest="s3://bucket/manifests/bench.json",
        updated_at=(datetime.now(UTC) - timedelta(hours=1)).isoformat(),
        world_size=2,
        rows_in=64,
        rows_out=64,
        outputs={"metrics.json": folder.at("metrics.json").uri},
    )
    store.put(folder.status, status.model_dump_json().encode())
    store.put_json(folder.at("metrics.json"), METRICS)


if __name__ == "__main__":
    sys.exit(main())
