"""Checkpoints that lie in the function's image: what a cold start need not download."""

from __future__ import annotations

from pathlib import Path

from cosmic.contracts.plan import PlannedModel
from cosmic.model.checkpoint import Checkpoint, load_checkpoint


def baked_checkpoint(folder: Path, model: PlannedModel) -> Checkpoint | None:
    """The planned checkpoint from the image's folder; None if it isn't there byte for byte.

    Args:
        folder: Where the image keeps `*.safetensors`; it need not exist.
        model: What the run planned.

    Raises:
        InputError: a file of the planned size is no checkpoint.
    """
    for path in sorted(folder.glob("*.safetensors")):
        if path.stat().st_size == model.bytes:
            checkpoint = load_checkpoint(path)
            if checkpoint.sha256 == model.sha256:
                return checkpoint
    return None
