"""The engine: one batch of images and magnitudes in, redshifts with errors and flags out."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass, fields
from queue import SimpleQueue
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from cosmic.abreast import abreast
from cosmic.contracts.engines import AUTO_ENGINE, ENGINES
from cosmic.contracts.flags import Flag
from cosmic.contracts.plausible import plausible_magnitudes
from cosmic.contracts.quantiles import QUANTILES
from cosmic.errors import InputError
from cosmic.extras import not_installed
from cosmic.model.checkpoint import Checkpoint
from cosmic.model.domain import Place
from cosmic.model.graph import Array

BATCH_SIZE = 64
ALIGNMENT_BYTES = 64

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Predictions:
    """What the model says of N objects, in their order.

    Attributes:
        z_phot: Redshifts (N,) float32; NaN where there is no prediction.
        z_phot_err: Half-widths of their central 68 % (N,) float32; NaN likewise.
        z_quantiles: Quantiles of p(z) (N, 9) float32, by `catalogue_schema.QUANTILES`; NaN where
            there is no prediction, and all NaN if the model is not calibrated for them.
        flags: `cosmic.contracts.flags.Flag` bitmasks (N,) int32.
    """

    z_phot: NDArray[np.float32]
    z_phot_err: NDArray[np.float32]
    z_quantiles: NDArray[np.float32]
    flags: NDArray[np.int32]

    @classmethod
    def none(cls) -> Predictions:
        """Those of no objects."""
        empty = np.empty(0, np.float32)
        return cls(empty, empty, np.empty((0, len(QUANTILES)), np.float32), np.empty(0, np.int32))

    @classmethod
    def together(cls, parts: Sequence[Predictions]) -> Predictions:
        """Those of all parts, one part after the other; of none, none."""
        parts = parts or [cls.none()]
        names = [f.name for f in fields(cls)]
        return cls(**{n: np.concatenate([getattr(p, n) for p in parts]) for n in names})


class Runner(Protocol):
    """A model in a library's hands, for batches of one size.

    Attributes:
        streams: How many batches it runs at the same time, each called from a thread of its own.
    """

    streams: int

    def run(self, image: Array, mag: Array) -> Array:
        """Redshifts (N,) of exactly N objects that lack nothing."""


MakeRunner = Callable[[Checkpoint, int, int, str], Runner]
Pixels = NDArray[np.floating[Any]]
Magnitudes = NDArray[np.floating[Any]]


class Engine:
    """Runs a checkpoint on this process's processor; several threads may call it.

    A batch runs alone, never split or merged, a short one filled up with empty sky. The same batch
    gives the same bits in every process with the same engine, batch size and number of threads on
    the same kind of processor, so a caller who cuts the data on a fixed grid gets results that
    don't depend on who computes them.

    OpenVINO and ONNX Runtime compute a batch in one thread, and as many batches at the same time as
    there are threads: threads that share a batch wait for each other after each layer (ADR 52).
    torch has one pool for all, and computes one batch after another in it.

    Attributes:
        name: One of `ENGINES`.
        precision: `float32` or `bf16`.
        threads: In which the library computes.
        streams: Batches that are computed at the same time.
        batch_size: Rows of the largest batch.
        config, provenance, errors, domain, pz, sha256: Of the checkpoint; its weights are not
            kept.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        threads: int,
        *,
        name: str = "auto",
        precision: str = "float32",
        batch_size: int = BATCH_SIZE,
    ) -> None:
        """Give the checkpoint to a library.

        Raises:
            InputError: There is no such engine here, it or the processor can't compute in this
                precision, or a number is below 1.
        """
        for what, value in (("threads", threads), ("batch_size", batch_size)):
            if value < 1:
                raise InputError(f"{what} is {value}", hint="use 1 or more")
        self.name, self.precision = AUTO_ENGINE if name == "auto" else name, precision
        self.threads, self.batch_size = threads, batch_size
        c = self.config = checkpoint.config
        self.provenance, self.errors = checkpoint.provenance, checkpoint.errors
        self.domain, self.pz = checkpoint.domain, checkpoint.pz
        self.sha256 = checkpoint.sha256
        self._neutral = checkpoint.state["normalise.mag_neutral"].copy()
        self._runner = _library(self.name)(checkpoint, batch_size, threads, precision)
        self.streams = self._runner.streams
        self._inputs: SimpleQueue[tuple[Array, Array]] = SimpleQueue()
        for _ in range(self.streams):
            image = _aligned(batch_size, c.bands, c.image_size, c.image_size)
            self._inputs.put((image, _aligned(batch_size, c.bands)))

    def warm_up(self) -> None:
        """Run a batch of empty sky in each stream, so that real ones find everything in place."""
        c = self.config
        empty = np.zeros((1, c.bands, c.image_size, c.image_size), np.float32)
        none = empty[:, :, 0, 0]
        for _ in self.abreast(lambda _: self._run(empty, none), range(self.streams)):
            pass

    def predict_all(self, image: Pixels, mag: Magnitudes) -> Predictions:
        """Predict objects of any number, batch by batch; otherwise as `predict`."""
        size = self.batch_size
        parts = (slice(at, at + size) for at in range(0, len(image), size))
        return Predictions.together(
            list(self.abreast(lambda part: self.predict(image[part], mag[part]), parts))
        )

    def abreast(
        self, work: Callable[[Item], Result], items: Iterable[Item]
    ) -> Generator[Result, None, None]:
        """Do work that calls `redshifts` once for each item, so that no stream waits for another.

        Args:
            work: Called in other threads.
            items: Taken one by one, two for each stream ahead of the results.

        Returns:
            What `work` returned, in the order of the items; its errors come where that would.
        """
        return abreast(work, items, self.streams, 2 * self.streams)

    def predict(self, image: Pixels, mag: Magnitudes) -> Predictions:
        """Predict one batch.

        Args:
            image: (N, 5, H, W) float32, nanomaggies, bands u g r i z; larger than the model's
                image on both sides is cut to its centre. Pixels that aren't finite are bad, and so
                are all pixels of a band that has none but these and zeros.
            mag: (N, 5) float32, asinh magnitudes; those that aren't plausible are missing.

        Returns:
            Redshifts, their errors, quantiles of p(z) and flags, N each. MISSING_BAND: a magnitude
            is missing.
            BAD_PIXELS: a pixel of the (cut) image is bad. OUT_OF_RANGE: z_phot lies outside the
            redshifts of the training. NO_PREDICTION: the model gave no finite number, or was given
            neither a good pixel nor a magnitude. OUT_OF_DOMAIN: the object lies where the training
            had hardly any; not judged if a band that the domain looks at is missing. Without any
            good pixel the error is NaN: it is not known.

        Raises:
            InputError: The shapes don't fit the model or each other, or the batch is too large.
        """
        return self.describe(image, mag, self.redshifts(image, mag))

    def redshifts(self, image: Pixels, mag: Magnitudes) -> Array:
        """What the model says of one batch (N,); arguments and errors as those of `predict`."""
        if len(image) > self.batch_size:
            raise InputError(f"{len(image)} rows in a batch, the engine takes {self.batch_size}")
        filled, _ = _finite(self._centre(image, mag))
        return self._run(filled, np.where(plausible_magnitudes(mag), mag, self._neutral))

    def describe(self, image: Pixels, mag: Magnitudes, z: Array) -> Predictions:
        """Redshifts (N,) of objects of any number, with what `predict` says of them beside.

        Each object is described by itself: the bits don't depend on those around it.
        """
        filled, finite = _finite(self._centre(image, mag))
        known = plausible_magnitudes(mag)
        blank = _blank(filled)
        incomplete = np.logical_or(blank.any(axis=1), ~finite.all(axis=(1, 2, 3)))
        where = None if self.domain is None else self.domain.place(np.where(known, mag, np.nan))
        return self._flagged(z, known, blank, incomplete, where)

    def _centre(self, image: Pixels, mag: Magnitudes) -> Pixels:
        """The central pixels the model looks at."""
        c = self.config
        want = f"(N, {c.bands}, {c.image_size} or more, {c.image_size} or more)"
        if image.ndim != 4 or image.shape[1] != c.bands or min(image.shape[2:]) < c.image_size:
            raise InputError(f"image has shape {list(image.shape)}, expected {want}")
        if mag.shape != image.shape[:2]:
            raise InputError(
                f"mag has shape {list(mag.shape)}, expected {list(image.shape[:2])} as the image"
            )
        top, left = ((side - c.image_size) // 2 for side in image.shape[2:])
        return image[:, :, top : top + c.image_size, left : left + c.image_size]

    def _run(self, image: Pixels, mag: Magnitudes) -> Array:
        """The bare model. A kernel may choose another order of summation for another alignment, so
        what does not lie as the library's own memory does is copied to where it does."""
        given = self._inputs.get()  # when a stream is free
        try:
            filled = [_filled(own, values) for own, values in zip(given, (image, mag), strict=True)]
            return self._runner.run(*filled)[: len(image)]
        finally:
            self._inputs.put(given)

    def _flagged(
        self,
        z: NDArray[np.float32],
        known: NDArray[np.bool_],
        blank: NDArray[np.bool_],
        lacks_pixel: NDArray[np.bool_],
        where: Place | None,
    ) -> Predictions:
        lost = ~np.isfinite(z) | ~(known.any(axis=1) | ~blank.all(axis=1))
        z = np.where(lost, np.float32(np.nan), z)
        p = self.provenance
        lacks_band = ~known.all(axis=1)
        flags = np.zeros(len(z), np.int32)
        for flag, marked in (
            (Flag.MISSING_BAND, lacks_band),
            (Flag.BAD_PIXELS, lacks_pixel),
            (Flag.OUT_OF_RANGE, _beyond(z, p.z_min, p.z_max)),
            (Flag.NO_PREDICTION, lost),
            (Flag.OUT_OF_DOMAIN, where.outside if where else np.zeros(len(z), np.bool_)),
        ):
            flags[marked] |= flag
        table, incomplete = self.errors, lacks_band | lacks_pixel
        width = np.where(
            incomplete,
            np.interp(z, table.z, table.incomplete),
            np.interp(z, table.z, table.complete),
        )
        width[blank.all(axis=1)] = np.nan  # of magnitudes alone no error was ever measured
        pz = self._quantiles(z, where, incomplete)
        return Predictions(z, width.astype(np.float32), pz, flags)

    def _quantiles(
        self, z: NDArray[np.float32], where: Place | None, incomplete: NDArray[np.bool_]
    ) -> NDArray[np.float32]:
        """Quantiles of p(z) (N, 9); NaN if the model is not calibrated for them."""
        if self.pz is None or where is None:
            return np.full((len(z), len(QUANTILES)), np.nan, np.float32)
        return self.pz.quantiles(z, where, incomplete)


def preload(name: str) -> None:
    """Import an engine's library, which can go on while something else is awaited.

    Raises:
        InputError: There is no such engine here.
    """
    _library(AUTO_ENGINE if name == "auto" else name)


def _finite(image: Pixels) -> tuple[Pixels, NDArray[np.bool_]]:
    """Images with 0 for pixels that aren't finite, and which are."""
    finite = np.isfinite(image)
    return image if finite.all() else np.where(finite, image, 0.0), finite


def _blank(image: Pixels) -> NDArray[np.bool_]:
    """Which bands (N, 5) of images (N, 5, H, W) have no pixel but zeros.

    A band with signal has some at its centre, so few have to be looked at in whole.
    """
    blank: NDArray[np.bool_] = image[:, :, image.shape[2] // 2, image.shape[3] // 2] == 0
    blank[blank] = ~image[blank].any(axis=(1, 2))
    return blank


def _beyond(z: NDArray[np.float32], low: float | None, high: float | None) -> NDArray[np.bool_]:
    """Which redshifts lie outside a range whose ends may not be known."""
    return (z < (-math.inf if low is None else low)) | (z > (math.inf if high is None else high))


def _library(name: str) -> MakeRunner:
    try:
        return _imported(name)
    except ModuleNotFoundError as error:
        missing = not_installed(error)
        raise InputError(
            f"engine {name!r} can't run here: {missing.message}",
            code="no-engine",
            hint=f"leave the engine out, or {missing.hint}",
        ) from error


def _imported(name: str) -> MakeRunner:
    """What makes a runner; a library is imported only where it runs: others may not be there."""
    match name:
        case "openvino":
            from cosmic.model.runners.openvino import OpenVinoRunner

            return OpenVinoRunner
        case "onnxruntime":
            from cosmic.model.runners.onnx import OnnxRunner

            return OnnxRunner
        case "torch":
            from cosmic.model.runners.torch import TorchRunner

            return TorchRunner
    known = ", ".join(("auto", *ENGINES))
    raise InputError(f"engine {name!r} is unknown", code="no-engine", hint=f"one of {known}")


def _filled(own: Array, values: NDArray[np.floating[Any]]) -> Array:
    """Values of a whole batch: themselves if they lie as `own` does, else copied into it."""
    alike = values.dtype == own.dtype and values.shape == own.shape and values.flags.c_contiguous
    if alike and values.ctypes.data % ALIGNMENT_BYTES == 0:
        return values
    own[: len(values)], own[len(values) :] = values, 0.0
    return own


def _aligned(*shape: int) -> Array:
    """Zeros (of the shape) float32 that start on a cache line."""
    size = math.prod(shape) * 4
    raw = np.zeros(size + ALIGNMENT_BYTES, np.uint8)
    start = -raw.ctypes.data % ALIGNMENT_BYTES
    return raw[start : start + size].view(np.float32).reshape(shape)
