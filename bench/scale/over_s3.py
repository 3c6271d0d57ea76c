"""`python -m bench.scale.over_s3`: `init` against a real S3 API, through boto3.

The API is moto's server in a process of its own, on the same cores, or another that listens at
`--endpoint`. Wall times hold its time too, so its processor time meanwhile stands beside that of
`init`'s own process, and the number of requests. Uploading comes first and isn't counted.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import resource
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple, TypeVar

import boto3
from botocore.config import Config

from bench.scale.planning import MODEL, galaxies
from cosmic.contracts.layout import RunFolder
from cosmic.contracts.location import Location
from cosmic.contracts.manifest import parse_manifest
from cosmic.contracts.plan import Limits, Plan
from cosmic.data.dataset_index import INDEX_NAME, DatasetIndex, IndexWriter, parse_index
from cosmic.data.native import write_partition
from cosmic.planning.plan_run import plan_run, survey_input
from cosmic.storage.objects import Store
from cosmic.storage.run_store import RunStore

BUCKET = "bench"
OURS = ("init", "partitions", "ranks", "wall s", "processor s", "peak MiB", "requests")
COLUMNS = (*OURS, "server's processor s")
PER_RANK = 4
AT_ONCE = 8
ROWS = 4
PROCESSES = get_context("spawn")
Found = TypeVar("Found")


class Planned(NamedTuple):
    """What planning a run took."""

    ranks: int
    wall_s: float
    processor_s: float
    peak_mib: float
    requests: int


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(prog="bench.scale.over_s3", description=__doc__)
    parser.add_argument("--partitions", type=int, default=4_000)
    parser.add_argument("--endpoint", help="of another S3 API, whose keys are S3RVER")
    parser.add_argument("--pid", type=int, help="of its process")
    options = parser.parse_args()
    partitions = options.partitions
    other = nullcontext((options.endpoint, options.pid)) if options.endpoint else server(partitions)
    with other as (endpoint, pid):
        if options.endpoint:
            apart(upload, endpoint, partitions)
        print(f"| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}")
        for index in (False, True):
            if index:
                apart(upload_index, endpoint, partitions)
            before = processor_s(pid)
            found = apart(plan, endpoint, partitions)
            of_server = processor_s(pid) - before
            name = "an index" if index else "no index"
            print(
                f"| {name} | {partitions:,} | {found.ranks:,} | {found.wall_s:.1f} "
                f"| {found.processor_s:.1f} | {found.peak_mib:.0f} | {found.requests:,} "
                f"| {of_server:.1f} |",
                flush=True,
            )


def processor_s(pid: int | None) -> float:
    """Processor seconds of a process until now."""
    if pid is None:
        return 0.0
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def server(partitions: int) -> Iterator[tuple[str, int | None]]:
    """The address of an S3 API that has the objects, and its process; both end with the block."""
    here, there = PROCESSES.Pipe()
    process = PROCESSES.Process(target=serve, args=(there, partitions), daemon=True)
    process.start()
    try:
        yield here.recv(), process.pid
    finally:
        process.terminate()
        process.join()


def serve(told: Connection, partitions: int) -> None:
    """Answer until the process is ended; what is asked for is there from the start."""
    from moto.core.models import DEFAULT_ACCOUNT_ID
    from moto.s3.models import s3_backends
    from moto.server import ThreadedMotoServer

    held, data = s3_backends[DEFAULT_ACCOUNT_ID]["aws"], small_partition()
    held.create_bucket(BUCKET, "us-east-1")
    held.put_object(BUCKET, "m", MODEL.read_bytes())
    for name in names_of(partitions):
        held.put_object(BUCKET, f"data/{name}", data)
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    answering = ThreadedMotoServer(port=0, verbose=False)
    answering.start()
    host, port = answering.get_host_and_port()
    told.send(f"http://{host}:{port}")
    while True:
        time.sleep(3600)


def apart(work: Callable[..., Found], *arguments: object) -> Found:
    """What a function returns in a process of its own, so that its peak is its own."""
    with PROCESSES.Pool(1) as pool:
        return pool.apply(work, arguments)


def store_at(endpoint: str) -> Store:
    """A store over that API."""
    session = boto3.Session("S3RVER", "S3RVER", region_name="us-east-1")
    pool = Config(max_pool_connections=32, s3={"addressing_style": "path"})
    return Store(session.client("s3", endpoint_url=endpoint, config=pool))


def names_of(partitions: int) -> list[str]:
    """Of all partitions."""
    return [f"part-{number:05d}.safetensors" for number in range(partitions)]


def small_partition() -> bytes:
    """A partition of `ROWS` rows."""
    with TemporaryDirectory() as folder:
        file = Path(folder) / "partition.safetensors"
        write_partition(file, galaxies(ROWS))
        return file.read_bytes()


def upload(endpoint: str, partitions: int) -> None:
    """Put a model, and one small partition under many names."""
    store = store_at(endpoint)
    store._s3.create_bucket(Bucket=BUCKET)
    store.put(Location(BUCKET, "m"), MODEL.read_bytes())
    data = small_partition()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for _ in pool.map(
            lambda name: store.put(Location(BUCKET, f"data/{name}"), data), names_of(partitions)
        ):
            pass


def upload_index(endpoint: str, partitions: int) -> None:
    """Put the index that packing would have written."""
    with TemporaryDirectory() as scratch, IndexWriter() as writer:
        folder = Path(scratch)
        write_partition(folder / "partition.safetensors", galaxies(ROWS))
        writer.add(folder / "partition.safetensors")
        (one,) = parse_index(writer.write(folder).read_bytes()).partitions
    entries = tuple(one.model_copy(update={"name": name}) for name in names_of(partitions))
    text = DatasetIndex(partitions=entries).model_dump_json(indent=1)
    store_at(endpoint).put(Location(BUCKET, f"data/{INDEX_NAME}"), text.encode())


def plan(endpoint: str, partitions: int) -> Planned:
    """Look at the data, plan, and write the plan, as `init` does."""
    store, ranks = store_at(endpoint), partitions // PER_RANK
    before = store.requests
    document = {
        "version": 1,
        "job": "scale",
        "model": {"uri": f"s3://{BUCKET}/m"},
        "data": {"uri": f"s3://{BUCKET}/data/"},
        "inference": {"world_size": ranks, "batch_size": ROWS},
    }
    manifest = parse_manifest(json.dumps(document).encode())
    limits = Limits(world_size=ranks, memory_mb=1769, channels=("direct",))
    wall, processor = time.perf_counter(), time.process_time()
    made = plan_run("scale-1", manifest, survey_input(manifest, store, limits), limits)
    if not isinstance(made, Plan):
        raise RuntimeError(f"not planned: {made[:3]}")
    run = RunStore(store, RunFolder(BUCKET, "runs/", f"scale-{time.time_ns()}"))
    run.plan_once(made)
    run.items_once(made)
    wall, processor = time.perf_counter() - wall, time.process_time() - processor
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return Planned(made.world_size, wall, processor, peak, sum(store.requests.since(before)))


if __name__ == "__main__":
    main()
