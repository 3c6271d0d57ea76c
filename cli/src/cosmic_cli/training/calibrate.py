"""The z_phot_err table: how far off the model is where it says z."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from cosmic.inference.astromae import AstroMAE
from cosmic.inference.checkpoint import ErrorTable
from cosmic_cli.synth.dataset import Columns
from cosmic_cli.training.samples import drop_bands

BINS = 16
BATCH = 64


def calibrate(model: AstroMAE, data: Columns, seed: int) -> ErrorTable:
    """Measure the 68 % half-width of |z_phot - z_spec| in bins of z_phot of equal number.

    Args:
        model: In evaluation mode.
        data: Objects the model has not seen.
        seed: Of the choice of bands to drop for the `incomplete` column.
    """
    image, mag, z = data["image"], data["mag"], data["z_spec"]
    whole = predict(model, image, mag)
    gaps = drop_bands(image, mag, 1.0, np.random.default_rng([seed, 8]))
    edges = np.quantile(whole, np.linspace(0.0, 1.0, BINS + 1))
    centres = np.array(
        [np.median(whole[_inside(whole, edges, k)]) for k in range(BINS)], np.float32
    )
    return ErrorTable(
        z=centres,
        complete=_half_widths(whole, z, edges),
        incomplete=_half_widths(predict(model, *gaps), z, edges),
    )


def predict(
    model: AstroMAE, image: NDArray[np.float32], mag: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Redshifts (N,) of the bare model, in batches of 64."""
    out = []
    with torch.inference_mode():
        for i in range(0, len(mag), BATCH):
            rows = slice(i, i + BATCH)
            out.append(model(torch.tensor(image[rows]), torch.tensor(mag[rows])).numpy())
    return np.concatenate(out)


def _inside(z: NDArray[np.float32], edges: NDArray[np.floating], k: int) -> NDArray[np.bool_]:
    """Objects of bin `k`; the outer bins have no outer edge."""
    low = -np.inf if k == 0 else edges[k]
    high = np.inf if k == BINS - 1 else edges[k + 1]
    return (z >= low) & (z < high)


def _half_widths(
    z_phot: NDArray[np.float32], z_spec: NDArray[np.float32], edges: NDArray[np.floating]
) -> NDArray[np.float32]:
    off = np.abs(z_phot - z_spec)
    return np.array(
        [np.quantile(off[_inside(z_phot, edges, k)], 0.68) for k in range(BINS)], np.float32
    )
