"""What is measured: operations, sizes and how often."""

from __future__ import annotations

from dataclasses import dataclass

KIB, MIB = 1 << 10, 1 << 20


@dataclass(frozen=True)
class Case:
    """One line of the table.

    Attributes:
        name: as printed.
        operation: method of an `Engine`.
        count: elements of the array.
        dtype: its element type.
        repeats: how often in one block; divided by ranks for long operations.
        back_to_back: True for operations that synchronise all ranks: a block is timed as a
            whole. Others are timed one by one, from the first start to the last end.
        bounds: targets of our time over (Open MPI's, gloo's); None where none is set.
    """

    name: str
    operation: str
    count: int
    dtype: str
    repeats: int
    back_to_back: bool
    bounds: tuple[float, float] | None


CASES = (
    Case("barrier", "barrier", 0, "u1", 200, True, (1.2, 0.25)),
    Case("allreduce 8 doubles", "allreduce", 8, "f8", 200, True, (1.2, 0.25)),
    Case("gather 64 KiB", "gather", 64 * KIB, "u1", 20, False, (0.7, 0.35)),
    Case("bcast 1 MiB", "bcast", MIB, "u1", 12, False, (1.1, 1.2)),
    Case("bcast 16 MiB", "bcast", 16 * MIB, "u1", 3, False, (1.1, 1.2)),
    Case("allreduce 1 Mi float32", "allreduce", MIB, "f4", 5, True, (0.9, 1.1)),
    Case("allgather 64 KiB", "allgather", 64 * KIB, "u1", 20, True, None),
    Case("alltoall 64 KiB per rank", "alltoall", 64 * KIB, "u1", 20, True, None),
    Case("reduce_scatter 1 Mi float32", "reduce_scatter", MIB, "f4", 5, True, None),
    Case("scan 8 doubles", "scan", 8, "f8", 200, True, None),
)
NAMES = {case.name: case for case in CASES}
