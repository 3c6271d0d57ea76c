"""The domain of a model: which objects are like those that it learned from.

A Gaussian mixture describes where the training objects lie in r, g - r, r - i and i - z. An object
where their density is lower than almost anywhere among objects of the same kind is out of domain:
the model's redshift for it, and its error, are extrapolated. The u band is left out: for faint red
galaxies it is noise.

The mixture is fitted with scikit-learn in training (`cosmic.model.training.fit_domain`); here it is
only evaluated.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cosmic.data.checkpoint_header import DOMAIN, refused

FEATURES = ("r", "g - r", "r - i", "i - z")
TENSORS = ("domain.log_weights", "domain.means", "domain.whitening")
FIRST, LAST = 1, 4  # g and z among the bands u g r i z

Float = NDArray[np.float64]


@dataclass(frozen=True)
class Place:
    """Where N objects lie in a domain.

    Attributes:
        magnitude: The domain's magnitude, r, (N,); NaN where it is missing.
        log_density: Of the training objects there (N,); NaN where a band is missing.
        outside: Whether that is lower than the domain's least (N,).
    """

    magnitude: Float
    log_density: Float
    outside: NDArray[np.bool_]


@dataclass(frozen=True)
class Domain:
    """Where a model's training objects lie.

    Attributes:
        log_weights: Of the K components (K,) float32.
        means: Their centres (K, 4) float32, in magnitudes.
        whitening: (K, 4, 4) float32: what turns an offset from a centre into unit normal numbers.
        least_log_density: An object with a lower one is out of domain.
        quantile: Share of objects like those of the training that lie below it, at most, whatever
            their kind.
        magnitudes: Faintest and brightest r of the training.
        redshifts: Smallest and largest redshift of the training.
        image_pixels: Side of the training's images.
        pixel_arcsec: Scale of their pixels.
    """

    log_weights: NDArray[np.float32]
    means: NDArray[np.float32]
    whitening: NDArray[np.float32]
    least_log_density: float
    quantile: float
    magnitudes: tuple[float, float]
    redshifts: tuple[float, float]
    image_pixels: int
    pixel_arcsec: float

    def log_density(self, mag: NDArray[Any]) -> Float:
        """Log of the training objects' density at N objects (N,); NaN where a band is missing.

        Args:
            mag: (N, 5) magnitudes u g r i z; NaN where one is missing.
        """
        offset = features(mag)[:, None, :] - self.means
        # Not by a matrix product: its rounding depends on the library and the number of rows.
        unit = np.einsum("nkd,kde->nke", offset, self.whitening)
        each = self._heights - 0.5 * np.einsum("nke,nke->nk", unit, unit)
        highest = each.max(axis=1)
        density: Float = highest + np.log(np.exp(each - highest[:, None]).sum(axis=1))
        return density

    @cached_property
    def _heights(self) -> Float:
        """Log of each component's density at its own centre (K,)."""
        widths = np.log(np.abs(np.einsum("kdd->kd", self.whitening.astype(np.float64)))).sum(axis=1)
        heights: Float = self.log_weights + widths - 0.5 * len(FEATURES) * math.log(2 * math.pi)
        return heights

    def place(self, mag: NDArray[Any]) -> Place:
        """Where N objects lie in the domain.

        Args:
            mag: (N, 5) magnitudes u g r i z; NaN where one is missing.
        """
        density = self.log_density(mag)
        return Place(features(mag)[:, 0], density, density < self.least_log_density)

    def excludes(self, mag: NDArray[Any]) -> NDArray[np.bool_]:
        """Which of N objects are out of domain; one that lacks g, r, i or z is not judged.

        Args:
            mag: (N, 5) magnitudes u g r i z; NaN where one is missing.
        """
        return self.place(mag).outside

    def facts(self) -> dict[str, Any]:
        """What a model's card says of it, as JSON."""
        return {
            "features": list(FEATURES),
            "components": len(self.log_weights),
            "least_log_density": self.least_log_density,
            "quantile": self.quantile,
            "magnitudes_r": list(self.magnitudes),
            "redshifts": list(self.redshifts),
            "image_pixels": self.image_pixels,
            "pixel_arcsec": self.pixel_arcsec,
        }

    def tensors(self) -> dict[str, NDArray[np.float32]]:
        """Its numbers, as a checkpoint keeps them by name."""
        return dict(zip(TENSORS, (self.log_weights, self.means, self.whitening), strict=True))


def features(mag: NDArray[Any]) -> Float:
    """Where N objects lie (N, 4), by `FEATURES`.

    Args:
        mag: (N, 5) magnitudes u g r i z.
    """
    m = mag[:, FIRST : LAST + 1].astype(np.float64)
    return np.column_stack([m[:, 1], m[:, :-1] - m[:, 1:]])


def read_domain(metadata: dict[str, str], tensors: dict[str, NDArray[Any]]) -> Domain | None:
    """The domain that a checkpoint has, if it has one.

    Args:
        metadata: Of the checkpoint.
        tensors: All of its tensors by name.

    Raises:
        InputError: it has part of one, or one that can't be.
    """
    if DOMAIN not in metadata and not set(TENSORS) & set(tensors):
        return None
    try:
        facts = json.loads(metadata[DOMAIN])
        log_weights, means, whitening = (tensors[name].copy() for name in TENSORS)
        components = int(facts["components"])
        shapes = [(components,), (components, len(FEATURES)), (components, *2 * (len(FEATURES),))]
        found = [log_weights.shape, means.shape, whitening.shape]
        if facts["features"] != list(FEATURES) or found != shapes:
            raise ValueError(f"features {facts['features']} in tensors of shapes {found}")
        return Domain(
            log_weights,
            means,
            whitening,
            float(facts["least_log_density"]),
            float(facts["quantile"]),
            _two(facts["magnitudes_r"]),
            _two(facts["redshifts"]),
            int(facts["image_pixels"]),
            float(facts["pixel_arcsec"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise refused(f"its domain can't be read: {error!r}") from error


def _two(values: Any) -> tuple[float, float]:
    low, high = (float(value) for value in values)
    return low, high
