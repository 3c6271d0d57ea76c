"""What `init` and `aggregate` can do within their time and memory; anything larger is refused.

Both are sized in template.yaml. The figures per row, rank and partition are upper bounds of what
was measured (performance.md), for the processor that a function of that memory has.
"""

from __future__ import annotations

from cosmic.contracts.bands import BANDS, Bands
from cosmic.contracts.catalogue_columns import row_dtype
from cosmic.contracts.hats_costs import hats_s, hats_scratch_mb
from cosmic.contracts.plan import FunctionLimits
from cosmic.errors import Problem
from cosmic.storage.parts import MAX_PARTS, PART_BYTES

AGGREGATE_S, AGGREGATE_ROW_S, AGGREGATE_RANK_S = 60.0, 6e-6, 0.025
AGGREGATE_MB, AGGREGATE_RANK_MB, AGGREGATE_PARTITION_MB = 320.0, 0.012, 0.003
INIT_S, INIT_HEADER_S = 30.0, 0.010
INIT_MB, INIT_PARTITION_MB = 90.0, 0.0055


def aggregate_s(rows: int, ranks: int) -> float:
    """How long `aggregate` takes, at most."""
    return AGGREGATE_S + rows * AGGREGATE_ROW_S + ranks * AGGREGATE_RANK_S


def aggregate_mb(ranks: int, partitions: int) -> float:
    """The memory that `aggregate` takes, at most; it doesn't depend on the rows."""
    return AGGREGATE_MB + ranks * AGGREGATE_RANK_MB + partitions * AGGREGATE_PARTITION_MB


def too_much_to_merge(
    rows: int, ranks: int, partitions: int, limits: FunctionLimits, bands: Bands = BANDS
) -> list[Problem]:
    """Why `aggregate` could not finish a run with these bands, if it could not."""
    seconds, memory = aggregate_s(rows, ranks), aggregate_mb(ranks, partitions)
    problems = []
    if seconds > limits.aggregate_s:
        most = max(0, int((limits.aggregate_s - aggregate_s(0, ranks)) / AGGREGATE_ROW_S))
        message = (
            f"merging {rows:,} rows of {ranks:,} ranks takes up to {seconds:,.0f} s, "
            f"but `aggregate` has {limits.aggregate_s:,} s"
        )
        hint = f"split the data over several manifests, of at most {most:,} rows with as many ranks"
        problems.append(Problem("/data", message, rows, hint, "too-many-rows"))
    if memory > limits.aggregate_memory_mb:
        message = (
            f"merging {ranks:,} ranks of {partitions:,} partitions takes up to {memory:,.0f} MB, "
            f"but `aggregate` has {limits.aggregate_memory_mb:,} MB"
        )
        hint = "split the data over several manifests, or use fewer ranks"
        problems.append(Problem("/inference/world_size", message, ranks, hint, "too-many-ranks"))
    largest = MAX_PARTS * PART_BYTES // row_dtype(None, bands).itemsize
    if rows > largest:
        message = f"{rows:,} rows make a file of more than the {MAX_PARTS:,} parts that S3 takes"
        hint = f"split the data over several manifests, of at most {largest:,} rows"
        problems.append(Problem("/data", message, rows, hint, "too-many-rows"))
    return problems


def too_much_for_hats(
    rows: int, ranks: int, limits: FunctionLimits, bands: Bands = BANDS
) -> list[Problem]:
    """Why `aggregate` could not write a HATS collection, too, if it could not."""
    seconds, scratch = aggregate_s(rows, ranks) + hats_s(rows), hats_scratch_mb(rows, bands)
    if seconds > limits.aggregate_s:
        what = f"takes up to {seconds:,.0f} s, but `aggregate` has {limits.aggregate_s:,} s"
    elif scratch > limits.aggregate_scratch_mb:
        has = limits.aggregate_scratch_mb
        what = f"takes up to {scratch:,.0f} MB of scratch, but `aggregate` has {has:,} MB"
    else:
        return []
    message = f"merging {rows:,} rows of {ranks:,} ranks and writing them as HATS {what}"
    hint = "leave output.hats out, and give the run's catalogue to `cosmic hats`"
    return [Problem("/output/hats", message, rows, hint, "too-many-rows")]


def too_much_to_look_at(
    pointer: str, partitions: int, headers: int, limits: FunctionLimits
) -> list[Problem]:
    """Why `init` could not inspect a data set, if it could not.

    Args:
        pointer: Where the manifest names the data.
        headers: Partitions that no index describes.
    """
    seconds = INIT_S + headers * INIT_HEADER_S
    memory = INIT_MB + partitions * INIT_PARTITION_MB
    problems = []
    if seconds > limits.init_s:
        message = (
            f"reading the headers of {headers:,} partitions takes up to {seconds:,.0f} s, "
            f"but `init` has {limits.init_s:,} s"
        )
        hint = (
            "upload the index that `cosmic data pack` writes beside them, or use larger partitions"
        )
        problems.append(Problem(pointer, message, headers, hint, "too-many-partitions"))
    if memory > limits.init_memory_mb:
        message = (
            f"planning {partitions:,} partitions takes up to {memory:,.0f} MB, "
            f"but `init` has {limits.init_memory_mb:,} MB"
        )
        hint = "use larger partitions, or split the data over several manifests"
        problems.append(Problem(pointer, message, partitions, hint, "too-many-partitions"))
    return problems
