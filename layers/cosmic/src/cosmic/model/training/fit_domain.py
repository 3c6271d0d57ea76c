"""The domain of a model, fitted to what it was trained on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from sklearn.mixture import GaussianMixture
from threadpoolctl import threadpool_limits

from cosmic.contracts.bands import BANDS, REFERENCE, Bands
from cosmic.data.synth.dataset import Columns
from cosmic.data.synth.instrument import PIXEL_ARCSEC
from cosmic.model.domain import Domain, Float, features

COMPONENTS = 16
OBJECTS_PER_COMPONENT = 50
QUANTILE = 0.015
SEED = 0


def fit_domain(
    train: Columns,
    kinds: Sequence[Columns],
    pixel_arcsec: float = PIXEL_ARCSEC,
    bands: Bands = BANDS,
) -> Domain:
    """Fit the density of the training objects, and find out how low it is among others like them.

    Args:
        train: `image`, `mag` and `z_spec` of the training objects.
        kinds: `mag` of objects drawn apart, by kind: `QUANTILE` of the kind with the lowest
            densities will count as out of domain, and less of the others. In a mixture of all, a
            kind with a small share could lose far more.
        pixel_arcsec: Scale of the training's pixels.
        bands: Of the magnitudes, in order.
    """
    mag, z = train["mag"], train["z_spec"]
    reference = mag[:, bands.index(REFERENCE)]
    components = max(1, min(COMPONENTS, len(mag) // OBJECTS_PER_COMPONENT))
    mixture = GaussianMixture(components, random_state=SEED, reg_covar=1e-5)
    with threadpool_limits(1):  # sums in one order: the same data give the same domain
        mixture.fit(_complete(features(mag, bands)))
    unfinished = Domain(
        np.log(mixture.weights_).astype(np.float32),
        mixture.means_.astype(np.float32),
        mixture.precisions_cholesky_.astype(np.float32),
        least_log_density=-np.inf,
        quantile=QUANTILE,
        magnitudes=(float(np.nanmin(reference)), float(np.nanmax(reference))),
        redshifts=(float(z.min()), float(z.max())),
        image_pixels=train["image"].shape[-1],
        pixel_arcsec=pixel_arcsec,
        bands=bands,
    )
    densities = (unfinished.log_density(kind["mag"]) for kind in kinds)
    least = min(float(np.nanquantile(density, QUANTILE)) for density in densities)
    return replace(unfinished, least_log_density=least)


def _complete(rows: Float) -> Float:
    complete: Float = rows[np.isfinite(rows).all(axis=1)]
    return complete
