"""A short calibration on this machine, in processes of its own."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from cosmic.contracts.engines import EngineName, Precision
from cosmic.costs.measured import SERIAL_SHARE, Measured
from cosmic.data.blocks import BLOCK_BYTES, BLOCKS_HELD
from cosmic.errors import CosmicError, InputError

BATCH_SIZES = (32, 64, 128, 256, 512)
COMMON_SIZE = 64
SECONDS = 0.8
LARGEST_SHARE = 0.5

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Calibration:
    """What is measured, and for how long each batch size."""

    model: Path
    engine: EngineName | Literal["auto"] = "auto"
    precision: Precision = "float32"
    batch_sizes: tuple[int, ...] = BATCH_SIZES
    seconds: float = SECONDS


def measure(wanted: Calibration, row_bytes: int, progress: Progress) -> Measured:
    """Measure one thread at every batch size, then two threads at one.

    Args:
        wanted: What to measure.
        row_bytes: Of a row in its partition.
        progress: Called with what is done next.

    Raises:
        InputError: the model does not exist.
        CosmicError: the engine can't run it here; the message is the engine's.
    """
    if not wanted.model.is_file():
        hint = "give --model a checkpoint"
        raise InputError(f"{wanted.model} does not exist", code="not-found", hint=hint)
    checkpoint = wanted.model.read_bytes()
    progress("start-up")
    (start, *found) = _told(wanted, 1, wanted.batch_sizes, progress)
    first = found[0]
    return Measured(
        where=f"this machine ({platform.machine()}, {os.cpu_count()} cores)",
        engine=first["engine"],
        precision=wanted.precision,
        model_bytes=len(checkpoint),
        model_sha256=hashlib.sha256(checkpoint).hexdigest(),
        row_bytes=row_bytes,
        rows_per_s={one["batch_size"]: one["rows_per_cpu_s"] for one in found},
        serial_share=_serial_share(wanted, found, progress),
        init_s=start["init_s"],
        load_s=first["load_s"],
        peak_memory_mb=first["peak_memory_mb"] + BLOCKS_HELD * BLOCK_BYTES // (1 << 20),
        memory_batch_size=first["batch_size"],
    )


def _serial_share(wanted: Calibration, found: list[dict[str, Any]], progress: Progress) -> float:
    """Amdahl's share from one and two threads; the usual one where there is one core only."""
    if (os.cpu_count() or 1) < 2:
        return SERIAL_SHARE
    by_size = {one["batch_size"]: one for one in found}
    size = COMMON_SIZE if COMMON_SIZE in by_size else found[0]["batch_size"]
    progress("two threads")
    _, both = _told(wanted, 2, (size,), progress)
    gain: float = both["rows_per_wall_s"] / by_size[size]["rows_per_wall_s"]
    return min(LARGEST_SHARE, max(0.0, 2 / gain - 1))


def _told(
    wanted: Calibration, threads: int, sizes: tuple[int, ...], progress: Progress
) -> list[dict[str, Any]]:
    return list(_lines(wanted, threads, sizes, progress))


def _lines(
    wanted: Calibration, threads: int, sizes: tuple[int, ...], progress: Progress
) -> Iterator[dict[str, Any]]:
    options = {**asdict(wanted), "model": str(wanted.model), "threads": threads}
    command = [sys.executable, "-m", "cosmic.calibration.child"]
    with subprocess.Popen(
        [*command, json.dumps({**options, "batch_sizes": sizes})],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"AWS_DEFAULT_REGION": "us-east-1"},
    ) as child:
        for line in child.stdout or ():
            found = json.loads(line)
            if "batch_size" in found:
                progress(f"batches of {found['batch_size']}: {found['rows_per_cpu_s']:.0f} rows/s")
            yield found
        trouble = child.stderr.read().strip() if child.stderr else ""
    if child.returncode:
        reason = trouble.splitlines()[-1] if trouble else f"exit code {child.returncode}"
        raise CosmicError(f"the model can't be measured here: {reason}", code="not-measured")
