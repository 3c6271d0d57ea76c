"""What all variants are given: a checkpoint with random weights, objects, and their redshifts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from bench.engine.folded import record
from cosmic.model.architecture import PRESETS
from cosmic.model.astromae import AstroMAE
from cosmic.model.checkpoint import ErrorTable, Provenance, load_checkpoint, save_checkpoint
from cosmic.model.engine import BATCH_SIZE

CHECKED = 64


def write_inputs(folder: Path, preset: str, rows: int) -> None:
    """Write `m.safetensors`, `folded.pt`, `image.npy`, `mag.npy` and `z.npy`.

    `z.npy` has the redshifts of 64 of the objects, computed in float64.
    """
    torch.manual_seed(11)
    model = AstroMAE(PRESETS[preset]).eval()
    errors = ErrorTable(*np.ones((3, 2), np.float32))
    provenance = Provenance("random", "", 11, -10.0, 10.0)
    save_checkpoint(folder / "m.safetensors", model, provenance, errors)
    weights = load_checkpoint(folder / "m.safetensors").state
    record(folder / "folded.pt", model.config, weights, BATCH_SIZE)
    c, draws = model.config, np.random.default_rng(5)
    size = (rows, c.bands, c.image_size, c.image_size)
    image = draws.normal(0.0, 1.0, size).astype(np.float32)
    mag = draws.normal(18.0, 1.0, size[:2]).astype(np.float32)
    with torch.inference_mode():
        inputs = (torch.from_numpy(a[:CHECKED]).double() for a in (image, mag))
        z = model.double()(*inputs).numpy()
    for name, values in (("image", image), ("mag", mag), ("z", z)):
        np.save(folder / f"{name}.npy", values)
