"""The loops that were published, on our reference model: what the engines are compared with."""

from __future__ import annotations

import gc
from pathlib import Path

import torch
from torch.profiler import ProfilerActivity, profile

from cosmic.model.checkpoint import load_checkpoint
from cosmic.model.runners.torch import build

BATCH = 512


class PlainLoop:
    """Eager torch in batches of 512, as the model was published: contiguous, not channels last."""

    def __init__(self, path: Path, threads: int) -> None:
        torch.set_num_threads(threads)
        checkpoint = load_checkpoint(path)
        self.model = build(checkpoint.config, checkpoint.state)
        self.model.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]

    def run(self, image: torch.Tensor, mag: torch.Tensor) -> torch.Tensor:
        """Redshifts (N,) of all objects."""
        parts = []
        with torch.no_grad():
            for at in range(0, len(image), BATCH):
                parts.append(self.model(image[at : at + BATCH], mag[at : at + BATCH]))
        return torch.cat(parts)


class LambdaLoop(PlainLoop):
    """The same as CAI ran it on Lambda: under the profiler, garbage collected each batch."""

    def run(self, image: torch.Tensor, mag: torch.Tensor) -> torch.Tensor:
        """Redshifts (N,) of all objects."""
        parts = []
        with profile(activities=[ProfilerActivity.CPU], profile_memory=True), torch.no_grad():
            for at in range(0, len(image), BATCH):
                parts.append(self.model(image[at : at + BATCH], mag[at : at + BATCH]))
                gc.collect()
        return torch.cat(parts)
