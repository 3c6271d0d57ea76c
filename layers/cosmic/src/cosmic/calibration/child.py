"""A fresh process that measures a model: `python -m cosmic.calibration.child OPTIONS`.

OPTIONS is a JSON object: model, engine, precision, threads, batch_sizes, seconds. Prints a line of
JSON for each thing measured.
"""

from __future__ import annotations

import importlib
import json
import sys
import time
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from cosmic.model.checkpoint import load_checkpoint
from cosmic.model.engine import Engine
from cosmic.ranks.environment import process_age_s
from cosmic.ranks.invocation_stats import peak_memory_mb
from cosmic.storage.objects import Store, s3_client

LEAST_BATCHES = 3


def main() -> None:
    """Measure and print."""
    options = json.loads(sys.argv[1])
    _say(init_s=_ready())
    for size in options["batch_sizes"]:
        began = time.perf_counter()
        engine = Engine(
            load_checkpoint(Path(options["model"])),
            options["threads"],
            name=options["engine"],
            precision=options["precision"],
            batch_size=size,
        )
        load_s = time.perf_counter() - began
        engine.warm_up()
        wall, core = _rates(engine, options["seconds"])
        _say(
            batch_size=size,
            engine=engine.name,
            load_s=load_s,
            rows_per_wall_s=wall,
            rows_per_cpu_s=core,
            peak_memory_mb=peak_memory_mb(),
        )


def _ready() -> float:
    """Age of the process once all that a rank needs is imported and S3's client is made."""
    importlib.import_module("cosmic.ranks.run_rank")
    Store(s3_client())
    return process_age_s()


def _rates(engine: Engine, seconds: float) -> tuple[float, float]:
    """Rows a second of wall time (the best time) and of the processor's (the median one).

    Each time, all streams have a batch.
    """
    c, draws = engine.config, np.random.default_rng(0)
    rows = engine.streams * engine.batch_size
    image = draws.standard_normal((rows, c.bands, c.image_size, c.image_size), np.float32)
    mag = draws.uniform(15, 20, image.shape[:2]).astype(np.float32)
    engine.predict_all(image, mag)
    walls: list[float] = []
    cores: list[float] = []
    stop = time.perf_counter() + seconds
    while time.perf_counter() < stop or len(walls) < LEAST_BATCHES:
        wall, core = time.perf_counter(), time.process_time()
        engine.predict_all(image, mag)
        walls.append(time.perf_counter() - wall)
        cores.append(time.process_time() - core)
    return rows / min(walls), rows / median(cores)


def _say(**found: Any) -> None:
    sys.stdout.write(json.dumps(found) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
