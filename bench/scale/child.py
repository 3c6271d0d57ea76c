"""One case in one process, in this tree or an earlier one: prints what it took as JSON.

    python child.py build FOLDER ROWS ROWS_PER_RANK SHARE_WITH_Z_SPEC
    python child.py aggregate FOLDER [hats]

Modules are found under the names that they have today, else under those that they had before.
"""

from __future__ import annotations

import hashlib
import importlib
import io
import json
import resource
import sys
import time
from contextlib import suppress
from importlib.abc import MetaPathFinder
from inspect import signature
from itertools import accumulate
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from bench.scale.files import FilesS3


class NoPandas(MetaPathFinder):
    """Pyarrow imports pandas where it is installed; the functions' image doesn't have it."""

    def find_spec(self, fullname: str, *_: object) -> None:
        """Refuse that one."""
        if fullname == "pandas":
            raise ModuleNotFoundError(fullname)


sys.meta_path.insert(0, NoPandas())
BUCKET = "bench"
RUN = "scale-1"
PER_RANK = 4


def either(*names: str) -> ModuleType:
    """The first module that there is."""
    for name in names:
        try:
            return importlib.import_module(f"cosmic.{name}")
        except ModuleNotFoundError:
            continue
    raise SystemExit(f"none of {', '.join(names)} is here")


def bound_heap() -> None:
    """Do what the function does as it starts, where it does that."""
    with suppress(SystemExit):
        either("heap").bound_heap()


def folder() -> Any:
    """The run's folder."""
    return either("contracts.layout", "runs").RunFolder(BUCKET, "runs/", RUN)


def store(root: Path) -> Any:
    """S3, on files."""
    (root / BUCKET).mkdir(exist_ok=True)
    return either("storage.objects", "store").Store(FilesS3(root))


def shares(rows: int) -> list[int]:
    """Rows of a rank's partitions."""
    return [rows * (i + 1) // PER_RANK - rows * i // PER_RANK for i in range(PER_RANK)]


def planned(rows: int, per_rank: int) -> Any:
    """A plan of partitions like each other, `PER_RANK` a rank."""
    plan = either("contracts.plan", "plan")
    sizes = shares(per_rank) * (rows // per_rank)
    partitions = tuple(
        plan.PlannedPartition(
            bucket=BUCKET,
            key=f"data/survey/{i}.safetensors",
            etag=f'"{"0" * 32}"',
            bytes=26_214_400,
            rows=n,
            row_bytes=20_520,
        )
        for i, n in enumerate(sizes)
    )
    model = plan.PlannedModel(bucket=BUCKET, key="m", etag="e", bytes=1, sha256="0" * 64)
    return plan.Plan(
        run=RUN,
        dataset="s3://bench/data/survey/",
        model=model,
        partitions=partitions,
        ranks=tuple(plan.share_rows(sizes, rows // per_rank, 64)),
        batch_size=64,
        channel="direct",
        fmi_timeout_s=60,
        failed_rows_percent=0,
        gather=False,
    )


def columns(rank: int, rows: int, known: float) -> dict[str, Any]:
    """Columns of a partition, with z_spec for a share of the rows, and z_phot with some scatter."""
    draw = np.random.default_rng(rank)
    z = draw.uniform(0.01, 0.5, rows)
    return {
        "object_id": np.arange(rank * rows, (rank + 1) * rows),
        "ra": draw.uniform(0, 360, rows),
        "dec": draw.uniform(-90, 90, rows),
        "mag": draw.normal(18, 1, (rows, 5)).astype(np.float32),
        "mag_err": np.full((rows, 5), 0.02, np.float32),
        "z_spec": np.where(draw.random(rows) < known, z, np.nan).astype(np.float32),
        "z_phot": (z + draw.normal(0, 0.015, rows) * (1 + z)).astype(np.float32),
    }


def shard(rank: int, rows: int, known: float) -> bytes:
    """A rank's rows."""
    made, out = columns(rank, rows, known), io.BytesIO()
    ends = list(accumulate(shares(rows)))
    parts = [
        {name: column[end - size : end] for name, column in made.items()}
        for size, end in zip(shares(rows), ends, strict=True)
    ]
    catalogue = either("contracts.catalogue_columns", "contracts.catalogue_schema", "catalogue")
    if hasattr(catalogue, "catalogue_rows"):
        blocks = [
            block(catalogue.catalogue_rows, *each) for each in enumerate(parts, PER_RANK * rank)
        ]
        either("contracts.shard").write_shard(out, rows, None, blocks)
        return out.getvalue()
    with pq.ParquetWriter(out, catalogue.SCHEMA) as writer:
        for each in enumerate(parts, PER_RANK * rank):
            writer.write_table(block(catalogue.rows_to_table, *each))
    return out.getvalue()


def block(make: Any, partition: int, made: dict[str, Any]) -> Any:
    """A partition's rows, as a tree makes them; earlier ones know no quantiles."""
    z = made.pop("z_phot")
    quantiles = z[:, None] + np.linspace(-0.03, 0.03, 9, dtype=np.float32)
    said = [z, z * 0 + 0.015, quantiles, np.zeros(len(z), np.int32)]
    if "z_quantiles" not in signature(make).parameters:
        del said[2]
    return make(made, *said, partition=partition, start=0)


def record(rank: int, plan: Any, sha256: str) -> Any:
    """What a rank says of itself."""
    kind = either("contracts.rank_record", "record").RankRecord
    times = dict.fromkeys((n for n in kind.model_fields if n.endswith("_at_s")), time.time())
    seconds = dict.fromkeys(("init_s", "download_s", "read_wait_s", "compute_s", "rows_per_s"), 1.0)
    whole = ("rows_flagged", "bytes_read", "s3_reads", "s3_writes", "peak_memory_mb", "pid")
    return kind(
        rank=rank,
        world_size=plan.world_size,
        attempt=0,
        cold_start=True,
        rows=plan.ranks[rank].rows,
        shares={},
        memory_mb=1769,
        engine="openvino",
        precision="float32",
        threads=1,
        shard_sha256=sha256,
        fmi="degraded",
        **times,
        **seconds,
        **dict.fromkeys(whole, 1),
    )


def build(root: Path, rows: int, per_rank: int, known: float) -> None:
    """Write what ranks leave."""
    objects, at, plan = store(root), folder(), planned(rows, per_rank)
    objects.put(at.plan, plan.model_dump_json().encode())
    for rank in range(plan.world_size):
        data = shard(rank, per_rank, known)
        objects.put(at.shard(rank, plan.world_size), data)
        text = record(rank, plan, hashlib.sha256(data).hexdigest()).model_dump_json().encode()
        objects.put(at.record(rank, plan.world_size), text)


def aggregate(root: Path, *, hats: bool = False) -> dict[str, Any]:
    """What `aggregate` takes; the page is drawn in a process of its own and counted apart."""
    bound_heap()
    module = either("results.aggregate", "aggregate")
    objects, now = store(root), time.time()
    if hats:
        at = folder().plan
        objects.put(at, json.dumps(json.loads(objects.get(at)) | {"hats": True}).encode())
    task = either("results.task", "aggregate").AggregateTask(
        folder=folder(),
        manifest_uri="s3://bench/m.json",
        execution="arn",
        run_started_at_s=now - 60,
        memory_mb=1769,
        began_at_s=now,
        ends_at_s=now + 800,
    )
    with TemporaryDirectory() as scratch:
        before, began = time.process_time(), time.monotonic()
        end = module.aggregate(task, objects, Path(scratch))
        status = getattr(end, "status", end)
        wall, cpu = time.monotonic() - began, time.process_time() - before
        left = sum(p.stat().st_size for p in Path(scratch).rglob("*") if p.is_file())
    page = resource.getrusage(resource.RUSAGE_CHILDREN)
    return {
        "rows": status.rows_out,
        "state": str(status.state),
        "wall_s": wall,
        "cpu_s": cpu,
        "page_cpu_s": page.ru_utime + page.ru_stime,
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "scratch_mib": left / 2**20,
    }


def main() -> None:
    """Do one case."""
    what, root = sys.argv[1], Path(sys.argv[2])
    if what == "build":
        build(root, int(sys.argv[3]), int(sys.argv[4]), float(sys.argv[5]))
    else:
        print(json.dumps(aggregate(root, hats=sys.argv[3:] == ["hats"])))


if __name__ == "__main__":
    main()
