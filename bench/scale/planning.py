"""`init` for many partitions, and what a rank reads of its plan; in this tree or an earlier one.

    python planning.py build FOLDER PARTITIONS INDEXED
    python planning.py plan FOLDER RANKS

All partitions are one small file under many names.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from bench.scale.child import BUCKET, either, folder, store
from bench.scale.files import FilesS3, etag

MODEL = Path(__file__).parents[2] / "models/tiny/astromae-tiny.safetensors"
ROWS, SIDE = 40, 32


def build(root: Path, partitions: int, indexed: int) -> None:
    """Write a model and a data set, with an index if this tree knows one."""
    objects = store(root)
    objects.put(either("contracts.location", "store").Location(BUCKET, "m"), MODEL.read_bytes())
    source = root / "partition.safetensors"
    either("data.native", "partitions.native").write_partition(source, galaxies(ROWS))
    s3 = FilesS3(root)
    names = [f"part-{i:05d}.safetensors" for i in range(partitions)]
    for name in names:
        os.link(source, s3.path(BUCKET, f"data/{name}"))
    if indexed:
        module = either("data.dataset_index")
        with module.IndexWriter() as writer:
            writer.add(source)
            (one,) = module.parse_index(writer.write(root).read_bytes()).partitions
        tags = (etag(source).strip('"'),)
        entries = [one.model_copy(update={"name": name, "etags": tags}) for name in names]
        text = module.DatasetIndex(partitions=tuple(entries)).model_dump_json(indent=1)
        s3.put_object(BUCKET, f"data/{module.INDEX_NAME}", text.encode())


def galaxies(rows: int) -> dict[str, Any]:
    """Galaxies of one pixel, as bright as their magnitudes say."""
    draw = np.random.default_rng(0)
    mag = draw.uniform(15, 20, (rows, 5))
    image = draw.normal(0, 0.01, (rows, 5, SIDE, SIDE))
    image[:, :, SIDE // 2, SIDE // 2] += 10 ** (0.4 * (22.5 - mag))
    return {
        "image": image.astype(np.float32),
        "mag": mag.astype(np.float32),
        "mag_err": np.full((rows, 5), 0.02, np.float32),
        "object_id": np.arange(rows),
        "ra": draw.uniform(0, 360, rows),
        "dec": draw.uniform(-90, 90, rows),
        "z_spec": draw.uniform(0.1, 0.3, rows).astype(np.float32),
    }


def plan(root: Path, ranks: int) -> dict[str, Any]:
    """What looking at the data, planning and writing the plan take, and reading a rank's of it."""
    objects, at = store(root), folder()
    document = {
        "version": 1,
        "job": "scale",
        "model": {"uri": f"s3://{BUCKET}/m"},
        "data": {"uri": f"s3://{BUCKET}/data/"},
        "inference": {"world_size": ranks, "batch_size": 4},
    }
    manifest = either("contracts.manifest", "manifest").parse_manifest(
        json.dumps(document).encode()
    )
    kind = either("contracts.plan", "plan").Limits
    limits = kind(world_size=ranks, memory_mb=1769, channels=("direct",))
    start, began = either("planning.start_run", "start"), time.process_time()
    if hasattr(start, "survey_input"):
        inputs = start.survey_input(manifest, objects, limits)
    else:
        inputs = either("survey").survey(objects, manifest.data, manifest.model)
    made = start.plan_run(at.run, manifest, inputs, limits)
    if isinstance(made, list):
        raise SystemExit(f"not planned: {made[:3]}")
    written = _write(objects, at, made)
    cpu = time.process_time() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    task = {"bucket": BUCKET, "prefix": "runs/", "run": at.run, "rank": ranks // 2}
    tasks = either("ranks.task", "inference.task")
    began = time.process_time()
    tasks.read_plan(tasks.RankTask.model_validate(task), objects)
    read = time.process_time() - began
    return {
        "partitions": len(made.partitions),
        "ranks": made.world_size,
        "cpu_s": cpu,
        "peak_mib": peak,
        "plan_kib": written / 1024,
        "rank_ms": read * 1e3,
    }


def _write(objects: Any, at: Any, made: Any) -> int:
    """Write the plan; returns the bytes that a rank reads of it."""
    try:
        parts = either("contracts.plan_parts")
    except SystemExit:
        text = made.model_dump_json().encode()
        objects.put(at.plan, text)
        return len(text)
    run = either("storage.run_store").RunStore(objects, at)
    run.plan_once(made)
    run.items_once(made)
    read: list[int] = []
    packed: bytes = objects.get(at.parts)

    def span(offset: int, length: int) -> bytes:
        read.append(length)
        return packed[offset : offset + length]

    parts.read_part(span, made.world_size // 2)
    return sum(read)


def main() -> None:
    """Do one case."""
    what, root, count = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    if what == "build":
        build(root, count, int(sys.argv[4]))
    else:
        print(json.dumps(plan(root, count)))


if __name__ == "__main__":
    main()
