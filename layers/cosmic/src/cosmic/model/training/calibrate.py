"""The z_phot_err table: how far off the model is where it says z."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from cosmic.data.synth.dataset import Columns
from cosmic.model.astromae import AstroMAE
from cosmic.model.checkpoint import ErrorTable
from cosmic.model.training.samples import drop_bands

Float = NDArray[np.float64]

BINS = 16
BATCH = 64


def calibrate(model: AstroMAE, data: Columns, seed: int) -> ErrorTable:
    """Measure the 68 % half-width of |z_phot - z_spec| in bins of z_phot of equal number.

    Args:
        model: In evaluation mode.
        data: Objects drawn, and pixels rendered, apart from those of the training.
        seed: Of the choice of bands to drop for the `incomplete` column.
    """
    image, mag = data["image"], data["mag"]
    gaps = drop_bands(image, mag, 1.0, np.random.default_rng([seed, 8]))
    return error_table(predict(model, image, mag), predict(model, *gaps), data["z_spec"])


def error_table(
    z_phot: NDArray[np.float32], z_gaps: NDArray[np.float32], z_spec: NDArray[np.float32]
) -> ErrorTable:
    """The table of objects whose redshifts are known.

    Args:
        z_phot: Redshifts (N,) of the complete objects.
        z_gaps: Of the same objects without a band or two.
        z_spec: The true ones (N,).
    """
    centres, complete = _half_widths(z_phot, z_spec)
    others, incomplete = _half_widths(z_gaps, z_spec)
    return ErrorTable(
        z=centres.astype(np.float32),
        complete=complete.astype(np.float32),
        incomplete=np.interp(centres, others, incomplete).astype(np.float32),
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


def _half_widths(z_phot: NDArray[np.float32], z_spec: NDArray[np.float32]) -> tuple[Float, Float]:
    """Median z_phot and 68 % half-width of |z_phot - z_spec| in each of the bins (BINS,)."""
    bins = [rows for rows in np.array_split(np.argsort(z_phot, kind="stable"), BINS) if len(rows)]
    off = np.abs(z_phot - z_spec)
    centres = np.array([np.median(z_phot[rows]) for rows in bins])
    return centres, np.array([np.quantile(off[rows], 0.68) for rows in bins])
