"""The engine: one batch of images and magnitudes in, redshifts with errors and flags out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from cosmic.catalogue import Flag, present
from cosmic.errors import InputError
from cosmic.inference.checkpoint import Checkpoint

MB_PER_VCPU = 1769  # AWS Lambda: memory at which a function has one whole vCPU


def threads_for_memory(mb: int) -> int:
    """Threads worth starting in a function of `mb` MB: one a whole vCPU, at least one."""
    return max(1, mb // MB_PER_VCPU)


@dataclass(frozen=True)
class Predictions:
    """What the model says of N objects, in their order.

    Attributes:
        z_phot: Redshifts (N,) float32; NaN where there is no prediction.
        z_phot_err: Half-widths of their central 68 % (N,) float32; NaN likewise.
        flags: `cosmic.catalogue.Flag` bitmasks (N,) int32.
    """

    z_phot: NDArray[np.float32]
    z_phot_err: NDArray[np.float32]
    flags: NDArray[np.int32]


class Engine:
    """Runs a checkpoint on this process's processor.

    A batch runs exactly as it is given, never split, padded or merged. The same batch gives the
    same bits in every process with the same number of threads on the same kind of processor, so a
    caller who cuts the data on a fixed grid gets results that don't depend on who computes them.

    Attributes:
        checkpoint: What runs.
        threads: Threads of this process's torch, set here: torch has one pool a process.
    """

    def __init__(self, checkpoint: Checkpoint, threads: int) -> None:
        if threads < 1:
            raise InputError(f"threads is {threads}", hint="use 1 or more")
        self.checkpoint = checkpoint
        self.threads = threads
        torch.set_num_threads(threads)
        self._model = checkpoint.build()

    def warm_up(self, rows: int = 64) -> None:
        """Run one batch of empty sky, so that the first real one finds everything in place."""
        c = self.checkpoint.config
        size = (rows, c.bands, c.image_size, c.image_size)
        self._run(np.zeros(size, np.float32), np.zeros(size[:2], np.float32))

    def predict(
        self, image: NDArray[np.floating[Any]], mag: NDArray[np.floating[Any]]
    ) -> Predictions:
        """Predict one batch.

        Args:
            image: (N, 5, H, W) float32, nanomaggies, bands u g r i z; larger than the model's
                image on both sides is cut to its centre. Pixels that aren't finite are bad.
            mag: (N, 5) float32, asinh magnitudes; -99, -9999, 99 and what isn't finite is missing.

        Returns:
            Redshifts, their errors and flags, N each. MISSING_BAND: a magnitude is missing.
            BAD_PIXELS: a pixel of the (cut) image is bad. OUT_OF_RANGE: z_phot lies outside the
            redshifts of the training. NO_PREDICTION: the model gave no finite number, or was given
            neither a good pixel nor a magnitude.

        Raises:
            InputError: The shapes don't fit the model or each other.
        """
        image = self._centre(image, mag)
        known = present(mag)
        good = np.isfinite(image)
        z = self._run(
            image.astype(np.float32, copy=False),
            np.where(known, mag, np.nan).astype(np.float32),
        )
        return self._flagged(z, known, good)

    def _centre(
        self, image: NDArray[np.floating[Any]], mag: NDArray[np.floating[Any]]
    ) -> NDArray[np.floating[Any]]:
        """The central pixels the model looks at."""
        c = self.checkpoint.config
        want = f"(N, {c.bands}, {c.image_size} or more, {c.image_size} or more)"
        if image.ndim != 4 or image.shape[1] != c.bands or min(image.shape[2:]) < c.image_size:
            raise InputError(f"image has shape {list(image.shape)}, expected {want}")
        if mag.shape != image.shape[:2]:
            raise InputError(
                f"mag has shape {list(mag.shape)}, expected {list(image.shape[:2])} as the image"
            )
        top, left = ((side - c.image_size) // 2 for side in image.shape[2:])
        return image[:, :, top : top + c.image_size, left : left + c.image_size]

    def _run(self, image: NDArray[np.float32], mag: NDArray[np.float32]) -> NDArray[np.float32]:
        """The bare model. Inputs are copied: torch's own memory is aligned, a caller's may not be,
        and kernels may choose another order of summation for another alignment."""
        with torch.inference_mode():
            z: NDArray[np.float32] = self._model(torch.tensor(image), torch.tensor(mag)).numpy()
        return z

    def _flagged(
        self, z: NDArray[np.float32], known: NDArray[np.bool_], good: NDArray[np.bool_]
    ) -> Predictions:
        lost = ~np.isfinite(z) | ~(known.any(axis=1) | good.any(axis=(1, 2, 3)))
        z = np.where(lost, np.float32(np.nan), z)
        p = self.checkpoint.provenance
        lacks_band, lacks_pixel = ~known.all(axis=1), ~good.all(axis=(1, 2, 3))
        flags = np.zeros(len(z), np.int32)
        for flag, where in (
            (Flag.MISSING_BAND, lacks_band),
            (Flag.BAD_PIXELS, lacks_pixel),
            (Flag.OUT_OF_RANGE, (z < p.z_min) | (z > p.z_max)),
            (Flag.NO_PREDICTION, lost),
        ):
            flags[where] |= flag
        table = self.checkpoint.errors
        width = np.where(
            lacks_band | lacks_pixel,
            np.interp(z, table.z, table.incomplete),
            np.interp(z, table.z, table.complete),
        )
        return Predictions(z, width.astype(np.float32), flags)
