"""The memory that a rank needs, projected before anything is billed."""

from __future__ import annotations

RUNTIME_MB = 450
BLOCK_BYTES = 8 << 20
BLOCKS_HELD = 3
MODEL_COPIES = 3
ACTIVATION_PER_IMAGE_BYTE = 40


def projected_memory_mb(model_bytes: int, row_bytes: int, batch_size: int) -> int:
    """Peak memory of a rank in MiB.

    The interpreter with torch, the checkpoint as bytes and as parameters, the blocks of rows held
    (one computed, one read ahead, one in transit) and the activations of one batch.
    """
    blocks = BLOCKS_HELD * max(BLOCK_BYTES, batch_size * row_bytes)
    activations = batch_size * row_bytes * ACTIVATION_PER_IMAGE_BYTE
    return RUNTIME_MB + (MODEL_COPIES * model_bytes + blocks + activations) // (1 << 20)
