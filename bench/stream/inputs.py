"""What the measurements run on: partitions and models in a folder. Needs torch, a rank does not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from bench.stream.stage import BUCKET, ROOT, ROWS
from cosmic.data.native import write_partition
from cosmic.data.photometry_check import flux_of
from cosmic.model.architecture import AstroMAEConfig
from cosmic.model.astromae import AstroMAE
from cosmic.model.checkpoint import ErrorTable, Provenance, save_checkpoint

TINY = ROOT / "models/tiny/astromae-tiny.safetensors"


def fill(folder: Path, sizes: list[int], layout: str) -> None:
    """Write partitions of these sizes (MB), and the models `tiny` and `full`, into a folder."""
    place = folder / BUCKET
    place.mkdir()
    (place / "tiny").write_bytes(TINY.read_bytes())
    torch.manual_seed(0)
    errors = ErrorTable(*(np.linspace(0, 1, 2, dtype=np.float32) for _ in range(3)))
    full = AstroMAE(AstroMAEConfig()).eval()
    save_checkpoint(place / "full", full, Provenance("full", "", 0, 0, 1), errors)
    for size in sizes:
        write_rows(place / f"{size}.{layout}", ROWS[size], layout)


def write_rows(path: Path, rows: int, layout: str) -> None:
    """Write one partition of random rows, as bright as their magnitudes say."""
    draw = np.random.default_rng(rows)
    image = draw.standard_normal((rows, 5, 32, 32), np.float32)
    mag = draw.uniform(15, 20, (rows, 5)).astype(np.float32)
    image += (flux_of(mag) / 32**2).astype(np.float32)[:, :, None, None]
    z = draw.uniform(0, 0.4, rows).astype(np.float32)
    if layout == "pt":
        arrays = (image, mag.astype(np.float64), z)
        tensors = [torch.from_numpy(a) for a in arrays]
        torch.save(torch.utils.data.TensorDataset(*tensors), path)
        return
    position = draw.uniform(0, 90, rows)
    columns: dict[str, NDArray[Any]] = {
        "image": image,
        "mag": mag,
        "mag_err": mag / 100,
        "object_id": np.arange(rows),
        "ra": position,
        "dec": position,
        "z_spec": z,
    }
    write_partition(path, columns)
