"""What a model learns from and is tested on, and gaps put in on purpose."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cosmic.data.synth.dataset import BLOCK, Columns, Sample, digest, rows

Image = NDArray[np.float32]


@dataclass(frozen=True)
class Sources:
    """The samples of one training run, by recipe.

    Training and the calibration of z_phot_err are made of the real galaxies' training split alone,
    the tests of the held-out ones alone, so no spectrum of a test object was ever trained on. p(z)
    is calibrated on held-out galaxies, and tested on each by a table made without it.

    Attributes:
        train: Learned from, one after the other.
        calibrate: Objects drawn and rendered apart, for the z_phot_err table.
        tests: By name, for the model card.
        real: Real galaxies that training never saw: p(z) is calibrated for them.
        beyond: Drawn objects that reach beyond the domain of the training, so that p(z) widens
            towards its edge.
    """

    train: tuple[Sample, ...]
    calibrate: tuple[Sample, ...]
    tests: dict[str, Sample]
    real: tuple[Sample, ...] = ()
    beyond: tuple[Sample, ...] = ()


def sources(objects: int, seed: int) -> Sources:
    """The usual samples.

    Args:
        objects: Simulated `legacy` objects to learn from, beside the real galaxies.
        seed: Of the training; the calibration uses the next one.
    """
    return Sources(
        train=(Sample("legacy", objects, seed, "train"), Sample("catalog", None, seed, "train")),
        calibrate=(
            Sample("legacy", 6_000, seed + 1, "train"),
            Sample("catalog", 3_000, seed + 1, "train"),
        ),
        tests={
            "legacy": Sample("legacy", 10_000, 0, "test"),
            "catalog": Sample("catalog", None, 0, "test"),
        },
        real=(Sample("catalog", None, 0, "test"),),
        beyond=(Sample("deep", 6_000, seed + 1, "train"),),
    )


def load(samples: tuple[Sample, ...], workers: int = 2) -> Columns:
    """All objects of some samples, one sample after the other."""
    pieces = [
        (sample, start, min(start + 8 * BLOCK, len(sample)))
        for sample in samples
        for start in range(0, len(sample), 8 * BLOCK)
    ]
    with ThreadPoolExecutor(workers) as pool:
        return together(list(pool.map(lambda piece: rows(*piece), pieces)))


def together(parts: Sequence[Columns]) -> Columns:
    """The objects of all parts, one part after the other."""
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def data_hash(columns: Columns) -> str:
    """SHA-256 of what a model learns from."""
    return digest(columns)


def drop_bands(
    image: Image, mag: NDArray[np.float32], share: float, rng: np.random.Generator
) -> tuple[Image, NDArray[np.float32]]:
    """Copies in which some objects lack a band or two, as real ones do.

    Args:
        image: (N, 5, H, W).
        mag: (N, 5).
        share: Of the objects that lose their first band; a quarter of them lose another. Half the
            time the band's pixels are lost as well.
        rng: Source of the choice.

    Returns:
        Image and magnitudes with NaN in what is lost.
    """
    n, bands = mag.shape
    hit = rng.uniform(size=n) < share
    image, mag = image.copy(), mag.copy()
    for odds in (1.0, 0.25):
        objects = np.flatnonzero(hit & (rng.uniform(size=n) < odds))
        lost = rng.integers(bands, size=len(objects))
        mag[objects, lost] = np.nan
        pixels = rng.uniform(size=len(objects)) < 0.5
        image[objects[pixels], lost[pixels]] = np.nan
    return image, mag
