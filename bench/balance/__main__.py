"""`python -m bench.balance`: one of several ranks is late; with and without moving its rows."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from unittest.mock import patch

from bench.stream.inputs import fill
from bench.stream.stage import BUCKET, ROOT, serving
from cosmic.contracts.layout import RunFolder
from cosmic.contracts.manifest import Data, Inference, Manifest, Model
from cosmic.contracts.plan import make_plan
from cosmic.contracts.rank_record import RankRecord, parse_record
from cosmic.planning.inputs import inspect_inputs
from cosmic.storage.objects import Store, s3_client

SECRET = bytes(range(32)).hex()
SIZE_MB = 25
RATE, LATENCY_MS = 300.0, 20.0


def main() -> None:
    """Measure what the arguments ask for."""
    parser = argparse.ArgumentParser(prog="bench.balance", description=__doc__)
    parser.add_argument("--ranks", type=int, default=2)
    parser.add_argument("--factors", type=float, nargs="+", default=[1.0, 3.0])
    parser.add_argument("--model", choices=["tiny", "full"], default="full")
    parser.add_argument("--rounds", type=int, default=3, help="of which the median counts")
    options = parser.parse_args()
    with TemporaryDirectory() as scratch:
        fill(Path(scratch), [SIZE_MB], "safetensors")
        with serving(Path(scratch), RATE, LATENCY_MS) as s3, rendezvous(scratch) as address:
            environment = s3 | {"FMI_RENDEZVOUS": address, "FMI_DEPLOYMENT_SECRET": SECRET}
            _print(options, environment)


def _print(options: argparse.Namespace, environment: dict[str, str]) -> None:
    print(
        "| ranks | slowed by | rows move | wall s | ratio | idle s, summed | ratio | rows moved |"
    )
    print("|---" * 8 + "|")
    for factor in options.factors:
        found: dict[bool, list[tuple[float, float, int]]] = {False: [], True: []}
        for number in range(options.rounds):
            for move, measured in found.items():
                run = f"bench-{os.getpid()}-{factor}-{number}-{move}"
                measured.append(_measure(run, options, environment, factor, move=move))
        base = [median(values) for values in zip(*found[False], strict=True)]
        for move, measured in found.items():
            wall, idle, rows = (median(values) for values in zip(*measured, strict=True))
            print(f"| {options.ranks} | {factor:g} | {'yes' if move else 'no'} | {wall:.2f} "
                  f"| {wall / base[0]:.2f} | {idle:.2f} | {idle / base[1]:.2f} | {rows:.0f} |",
                  flush=True)  # fmt: skip


def _measure(
    run: str, options: argparse.Namespace, environment: dict[str, str], factor: float, *, move: bool
) -> tuple[float, float, int]:
    """Wall time from the first start to the last closing, idle time, and rows that moved."""
    _plan(run, options, environment)
    command = [sys.executable, "-m", "bench.balance.rank", run]
    ranks = [
        subprocess.Popen(
            [*command, str(rank), str(factor if rank == 0 else 1.0), str(move)],
            env=os.environ | environment,
            cwd=ROOT,
            stdout=subprocess.PIPE,
        )
        for rank in range(options.ranks)
    ]
    records = [_record(process) for process in ranks]
    wall_s = max(r.finished_at_s for r in records) - min(r.model_loaded_at_s for r in records)
    return wall_s, sum(r.idle_s for r in records), sum(r.rows_given for r in records)


def _record(process: subprocess.Popen[bytes]) -> RankRecord:
    out, _ = process.communicate(timeout=300)
    record = parse_record(out)
    assert record.fmi == "ok", record.fmi_error
    return record


def _plan(run: str, options: argparse.Namespace, environment: dict[str, str]) -> None:
    with patch.dict(os.environ, environment):
        store = Store(s3_client())
    data = Data(partitions=(f"s3://{BUCKET}/{SIZE_MB}.safetensors",))
    model = Model(uri=f"s3://{BUCKET}/{options.model}")
    found = inspect_inputs(store, data, model)
    assert found.model, found.problems
    manifest = Manifest(version=1, job="bench", model=model, data=data, inference=Inference())
    plan = make_plan(
        run, manifest, found.model, found.partitions, world_size=options.ranks, channel="direct"
    )
    store.put(RunFolder(BUCKET, "runs/", run).plan, plan.model_dump_json().encode())


@contextmanager
def rendezvous(folder: str) -> Iterator[str]:
    """A server where ranks with `SECRET` meet; gives its address."""
    port_file = Path(folder) / "port"
    command = [sys.executable, "-m", "fmilib.rendezvous", "--port-file", str(port_file)]
    environment = os.environ | {"FMI_DEPLOYMENT_SECRET": SECRET}
    server = subprocess.Popen([*command, "--port", "0"], env=environment)
    try:
        while not port_file.exists():
            time.sleep(0.05)
        yield f"127.0.0.1:{port_file.read_text().strip()}"
    finally:
        server.terminate()
        server.wait()


if __name__ == "__main__":
    main()
