"""What is measured on this machine: their loop, and a rank of ours, each in a fresh process."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from bench.engine.inputs import write_inputs
from bench.source_tables.published import BITS_A_ROW
from bench.stream.inputs import fill, write_rows
from bench.stream.stage import BUCKET, run_cold, run_module, serving
from cosmic.contracts.rank_record import RankRecord

S3_MB_PER_S = 75.0
S3_LATENCY_MS = 20.0
BATCH = 64


@dataclass(frozen=True)
class Here:
    """One process over one partition.

    Attributes:
        wall_s: Of their loop over rows in memory; of our whole cold rank, start and reading in it.
        busy_s: The processor's, in the model alone.
        mib: Peak memory.
    """

    rows: int
    wall_s: float
    busy_s: float
    mib: int

    @property
    def mbit_s(self) -> float:
        """Of input a second of the processor, as the source document counts it."""
        return self.rows * BITS_A_ROW / self.busy_s / 1e6


def their_loop(folder: Path, rows: int, variant: str, threads: int) -> Here:
    """`lambda-loop` or `plain-loop` of `bench.engine` over rows that are in memory already."""
    place = folder / f"inputs-{rows}"
    if not place.exists():
        place.mkdir()
        write_inputs(place, "full", rows)
    found = run_module("bench.engine.child", [str(place), variant, str(threads)], {})
    return Here(rows, rows / found["rate"], found["busy_s"], found["mib"])


def our_rank(folder: Path, rows: int, memory_mb: int = 1769) -> RankRecord:
    """A whole cold rank: it streams its partition from a server that is as fast as S3 to Lambda."""
    if not (folder / BUCKET).exists():
        fill(folder, [], "safetensors")
    path = folder / BUCKET / f"{rows}.safetensors"
    if not path.exists():
        write_rows(path, rows, "safetensors")
    with serving(folder, S3_MB_PER_S, S3_LATENCY_MS) as environment:
        memory = {"AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(memory_mb)}
        return RankRecord(**run_cold(path.name, "full", BATCH, {**environment, **memory}))
