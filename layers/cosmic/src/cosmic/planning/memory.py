"""The memory that a rank needs, projected before anything is billed."""

from __future__ import annotations

from typing import NamedTuple

from cosmic.data.blocks import BLOCK_BYTES, BLOCKS_HELD

MIB = 1 << 20


class Needs(NamedTuple):
    """What an engine takes: the process with its library, and multiples of model and batch."""

    runtime_mb: int
    model_copies: int
    batch_copies: int


MEASURED = Needs(runtime_mb=192, model_copies=2, batch_copies=13)  # OpenVINO, see performance.md
GENEROUS = Needs(runtime_mb=450, model_copies=3, batch_copies=40)  # torch's, good for all others


def projected_memory_mb(
    model_bytes: int, row_bytes: int, batch_size: int, engine: str, threads: int = 1
) -> int:
    """Peak memory of a rank in MiB.

    It covers the interpreter with the engine's library, the checkpoint and the library's
    rearranged copy of it, the blocks of rows held (one computed, one read ahead, one in transit)
    and the activations of a batch for each thread. For OpenVINO it is at most 1.3 times what ranks
    were measured to take.
    """
    needs = MEASURED if engine == "openvino" else GENEROUS
    batch_bytes = batch_size * row_bytes
    blocks = BLOCKS_HELD * max(BLOCK_BYTES, batch_bytes)
    activations = threads * needs.batch_copies * batch_bytes
    held = needs.model_copies * model_bytes + blocks + activations
    return needs.runtime_mb + held // MIB


def largest_model_bytes(memory_mb: int, engine: str) -> int:
    """The largest checkpoint that a rank of this memory can hold beside its blocks of rows."""
    needs = MEASURED if engine == "openvino" else GENEROUS
    return max(0, memory_mb - projected_memory_mb(0, 0, 1, engine)) * MIB // needs.model_copies
