"""The domain of a model: which objects are like those that it learned from.

A Gaussian mixture describes where the training objects lie in r and the colours of neighbouring
bands; of u g r i z these are g - r, r - i and i - z. An object
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
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cosmic.contracts.bands import BANDS, REFERENCE, Bands
from cosmic.data.checkpoint_header import DOMAIN, refused

TENSORS = ("domain.log_weights", "domain.means", "domain.whitening")
NOISY = "u"

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
        means: Their centres (K, F) float32, in magnitudes.
        whitening: (K, F, F) float32: what turns an offset from a centre into unit normal numbers.
        least_log_density: An object with a lower one is out of domain.
        quantile: Share of objects like those of the training that lie below it, at most, whatever
            their kind.
        magnitudes: Faintest and brightest r of the training.
        redshifts: Smallest and largest redshift of the training.
        image_pixels: Side of the training's images.
        pixel_arcsec: Scale of their pixels.
        bands: Of the model, in order.
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
    bands: Bands = BANDS

    def log_density(self, mag: NDArray[Any]) -> Float:
        """Log of the training objects' density at N objects (N,); NaN where a band is missing.

        Args:
            mag: (N, B) magnitudes, in the order of `bands`; NaN where one is missing.
        """
        offset = features(mag, self.bands)[:, None, :] - self.means
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
        heights: Float = (
            self.log_weights + widths - 0.5 * self.means.shape[1] * math.log(2 * math.pi)
        )
        return heights

    def place(self, mag: NDArray[Any]) -> Place:
        """Where N objects lie in the domain.

        Args:
            mag: (N, B) magnitudes, in the order of `bands`; NaN where one is missing.
        """
        density = self.log_density(mag)
        return Place(features(mag, self.bands)[:, 0], density, density < self.least_log_density)

    def facts(self) -> dict[str, Any]:
        """What a model's card says of it, as JSON."""
        return {
            "features": list(names_of_features(self.bands)),
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


def names_of_features(bands: Bands) -> tuple[str, ...]:
    """What a domain of a model of these bands looks at: r and the colours but those with u."""
    counted = [band for band in bands if band != NOISY]
    return (REFERENCE, *(f"{a} - {b}" for a, b in pairwise(counted)))


def features(mag: NDArray[Any], bands: Bands) -> Float:
    """Where N objects lie (N, F), by `names_of_features`.

    Args:
        mag: (N, B) magnitudes.
        bands: The B bands, in order.
    """
    counted = [at for at, band in enumerate(bands) if band != NOISY]
    m = mag[:, counted].astype(np.float64)
    reference = mag[:, bands.index(REFERENCE)].astype(np.float64)
    return np.column_stack([reference, m[:, :-1] - m[:, 1:]])


def read_domain(
    metadata: dict[str, str], tensors: dict[str, NDArray[Any]], bands: Bands
) -> Domain | None:
    """The domain that a checkpoint has, if it has one.

    Args:
        metadata: Of the checkpoint.
        tensors: All of its tensors by name.
        bands: Of the model, in order.

    Raises:
        InputError: it has part of one, or one that can't be.
    """
    if DOMAIN not in metadata and not set(TENSORS) & set(tensors):
        return None
    try:
        facts = json.loads(metadata[DOMAIN])
        log_weights, means, whitening = (tensors[name].copy() for name in TENSORS)
        components, names = int(facts["components"]), names_of_features(bands)
        shapes = [(components,), (components, len(names)), (components, *2 * (len(names),))]
        found = [log_weights.shape, means.shape, whitening.shape]
        if facts["features"] != list(names) or found != shapes:
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
            bands,
        )
    except (KeyError, TypeError, ValueError) as error:
        raise refused(f"its domain can't be read: {error!r}") from error


def _two(values: Any) -> tuple[float, float]:
    low, high = (float(value) for value in values)
    return low, high
