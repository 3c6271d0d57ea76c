"""The projection of a rank's memory, held against real ranks in processes of their own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from cosmic.planning.memory import projected_memory_mb

ROOT = Path(__file__).parents[2]
ROW_BYTES = 20_572  # of the bench's partitions
MODEL_BYTES = {"tiny": 976_508, "full": 63_700_000}
FACTOR = 1.3


def measured_mb(model: str, batch_size: int, threads: int) -> int:
    """What bench.stream says of a rank over a 25 MB partition."""
    command = [sys.executable, "-m", "bench.stream", "memory", "--model", model, "--sizes", "25"]
    done = subprocess.run(
        [*command, "--batch-size", str(batch_size), "--threads", str(threads)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return int(done.stdout.splitlines()[-1].split("|")[4])


LONG = [
    pytest.param(*one, marks=pytest.mark.long)
    for one in (
        ("full", 512, 1),
        ("full", 512, 2),
        ("tiny", 64, 1),
        ("tiny", 64, 2),
        ("tiny", 512, 2),
    )
]


@pytest.mark.parametrize(("model", "batch_size", "threads"), [("full", 64, 2), *LONG])
def test_a_rank_takes_little_less_than_projected(model: str, batch_size: int, threads: int) -> None:
    projected = projected_memory_mb(MODEL_BYTES[model], ROW_BYTES, batch_size, "openvino", threads)
    measured = measured_mb(model, batch_size, threads)
    assert measured <= projected <= FACTOR * measured
