"""Whether every engine that is installed here says the same of one built-in input."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from cosmic.contracts.bands import BANDS
from cosmic.contracts.engines import ENGINES
from cosmic.data.synth.dataset import Sample
from cosmic.errors import InputError
from cosmic.model.checkpoint import Checkpoint
from cosmic.model.engine import Engine, Predictions
from cosmic.model.training.samples import load

REFERENCE = "torch"
INPUT = Sample("catalog", 64, 0, "test")
TOLERANCE = 1e-5  # of |dz| / (1 + |z|): the engines sum in different orders


@dataclass(frozen=True)
class Agreement:
    """How far an engine is from the reference.

    Attributes:
        installed: Whether it is here; if not, the rest says nothing.
        deviation: Largest |difference| / (1 + |z|) of all objects.
        agrees: Whether that is within the tolerance, and all flags are equal.
    """

    engine: str
    installed: bool
    deviation: float
    agrees: bool


def agreements(checkpoint: Checkpoint) -> list[Agreement]:
    """Compare all engines with `torch` on 64 held-out galaxies, in float32, on one thread.

    Raises:
        InputError: torch is not installed.
    """
    columns = _input(checkpoint)
    reference = _predicted(checkpoint, REFERENCE, columns["image"], columns["mag"])
    return [_compared(checkpoint, name, reference, columns) for name in ENGINES]


def _input(checkpoint: Checkpoint) -> dict[str, np.ndarray]:
    """The galaxies as the model takes them; bands that they lack are played by others of theirs."""
    side = max(INPUT.image_size, checkpoint.config.image_size)
    columns = load((replace(INPUT, image_size=side),), workers=1)
    at = [
        BANDS.index(band) if band in BANDS else number % len(BANDS)
        for number, band in enumerate(checkpoint.bands)
    ]
    return {"image": columns["image"][:, at], "mag": columns["mag"][:, at]}


def _compared(
    checkpoint: Checkpoint, name: str, reference: Predictions, columns: dict[str, np.ndarray]
) -> Agreement:
    try:
        found = _predicted(checkpoint, name, columns["image"], columns["mag"])
    except InputError as error:
        if error.code != "no-engine":
            raise
        return Agreement(name, installed=False, deviation=0.0, agrees=True)
    apart = np.abs(found.z_phot - reference.z_phot) / (1.0 + np.abs(reference.z_phot))
    deviation = float(apart.max())
    same_flags = np.array_equal(found.flags, reference.flags)
    return Agreement(name, True, deviation, agrees=same_flags and deviation <= TOLERANCE)


def _predicted(
    checkpoint: Checkpoint, name: str, image: np.ndarray, mag: np.ndarray
) -> Predictions:
    return Engine(checkpoint, 1, name=name, batch_size=len(mag)).predict(image, mag)
