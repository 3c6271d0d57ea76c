"""AstroMAE run by torch, as `astromae.py` has it: the reference."""

from __future__ import annotations

import torch

from cosmic.errors import InputError
from cosmic.model.architecture import AstroMAEConfig
from cosmic.model.astromae import AstroMAE
from cosmic.model.checkpoint import Checkpoint, Weights
from cosmic.model.graph import Array


class TorchRunner:
    """The eager model. Threads are set for the process: torch has one pool.

    Attributes:
        streams: Batches that run at the same time: one, which has all threads.
    """

    streams = 1

    def __init__(self, checkpoint: Checkpoint, rows: int, threads: int, precision: str) -> None:
        if precision != "float32":
            raise InputError(
                f"the torch engine does not compute in {precision}",
                code="no-precision",
                hint="use inference.engine openvino, or float32",
            )
        torch.set_num_threads(threads)
        self._model = build(checkpoint.config, checkpoint.state)

    def run(self, image: Array, mag: Array) -> Array:
        """Redshifts (N,). Inputs are copied: torch's own memory is aligned, a caller's may not be,
        and kernels may choose another order of summation for another alignment."""
        with torch.inference_mode():
            z: Array = self._model(torch.tensor(image), torch.tensor(mag)).numpy()
        return z


def build(config: AstroMAEConfig, weights: Weights) -> AstroMAE:
    """The model with these weights, ready to infer (evaluation mode, channels last)."""
    with torch.device("meta"):  # no time spent on initial values
        model = AstroMAE(config)
    state = {name: torch.tensor(values) for name, values in weights.items()}
    model.load_state_dict(state, assign=True)
    model.eval()
    model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return model
