"""Pixels: disks and bulges as mixtures of Gaussians, seen through a double-Gaussian seeing.

A Gaussian convolved with a Gaussian is a Gaussian, so a galaxy is a sum of elliptical Gaussians
and needs no Fourier transform (Hogg & Lang 2013, arXiv 1210.6563).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cosmic.data.synth.instrument import PIXEL_ARCSEC, WING_FRACTION, WING_WIDTH
from cosmic.data.synth.morphology import Morphology

Float = NDArray[np.float64]
Image = NDArray[np.float32]

# Amplitudes and variances (units: half-light radius squared), Hogg & Lang 2013, tables 1 and 2.
EXPONENTIAL = (
    np.array([2.34853813e-03, 3.07995260e-02, 2.23364214e-01, 1.17949102, 4.33873750, 5.99820770]),
    np.array(
        [1.20078965e-03, 8.84526493e-03, 3.91463084e-02, 1.39976817e-01, 4.60962500e-01, 1.50159566]
    ),
)
DE_VAUCOULEURS = (
    np.array(
        [
            4.26347652e-02,
            2.40127183e-01,
            6.85907632e-01,
            1.51937350,
            2.83627243,
            4.46467501,
            5.72440830,
            5.60989349,
        ]
    ),
    np.array(
        [
            2.23759216e-04,
            1.00220099e-03,
            4.18731126e-03,
            1.69432589e-02,
            6.84850479e-02,
            2.87207080e-01,
            1.33320254,
            8.40215071,
        ]
    ),
)
PIXEL_VARIANCE = 1.0 / 12.0  # a pixel averages over its square
CHUNK = 32  # galaxies at a time, so that the work stays in cache


@dataclass(frozen=True)
class Pointing:
    """Where and through what seeing N galaxies are seen.

    Attributes:
        offset: (N, 2) pixels, x and y of the centre from the image's centre.
        seeing_fwhm: (N, 5) arcsec, of the core.
    """

    offset: Float
    seeing_fwhm: Float


def render(flux: Float, shape: Morphology, pointing: Pointing, size: int = 32) -> Image:
    """Noiseless images.

    Args:
        flux: (N, 5) total flux, nanomaggies; light beyond the image's edge is lost.
        shape: Of the N galaxies.
        pointing: Of the N galaxies.
        size: Side of the image, pixels.

    Returns:
        (N, 5, size, size) float32 nanomaggies.
    """
    amplitude, covariance = _mixture(flux, shape, pointing)
    n, bands = flux.shape
    basis = _monomials(size)
    image = np.empty((n, bands, size * size), np.float32)
    for start in range(0, n, CHUNK):
        rows = slice(start, start + CHUNK)
        image[rows] = _sum(amplitude[rows], covariance[rows], pointing.offset[rows], basis)
    return image.reshape(n, bands, size, size)


def _mixture(flux: Float, shape: Morphology, pointing: Pointing) -> tuple[Float, Float]:
    """Amplitudes (N, 5, K) and covariances xx, xy, yy (N, 5, K, 3), pixels squared."""
    disk = _component(EXPONENTIAL, shape.disk_radius, shape.disk_axis_ratio, shape.angle)
    bulge = _component(DE_VAUCOULEURS, shape.bulge_radius, shape.bulge_axis_ratio, shape.angle)
    light = np.concatenate(
        (
            (flux * (1.0 - shape.bulge_share))[..., None] * disk[0],
            (flux * shape.bulge_share)[..., None] * bulge[0],
        ),
        axis=2,
    )  # N, 5, 14
    spread = np.concatenate((disk[1], bulge[1]), axis=1)[:, None]  # N, 1, 14, 3
    core = (pointing.seeing_fwhm / 2.355 / PIXEL_ARCSEC) ** 2  # N, 5
    amplitudes, covariances = [], []
    for share, width in ((1.0 - WING_FRACTION, 1.0), (WING_FRACTION, WING_WIDTH)):
        blur = (core * width**2 + PIXEL_VARIANCE)[:, :, None, None] * np.array([1.0, 0.0, 1.0])
        amplitudes.append(share * light)
        covariances.append(spread + blur)
    return np.concatenate(amplitudes, axis=2), np.concatenate(covariances, axis=2)


def _component(
    profile: tuple[Float, Float], radius: Float, axis_ratio: Float, angle: Float
) -> tuple[Float, Float]:
    """Shares (K,) and covariances (N, K, 3) of one profile's Gaussians, before the seeing."""
    weights, variances = profile
    major = (radius / PIXEL_ARCSEC) ** 2
    minor = major * axis_ratio**2
    c, s = np.cos(angle), np.sin(angle)
    unit = np.stack(
        (major * c**2 + minor * s**2, (major - minor) * c * s, major * s**2 + minor * c**2), axis=1
    )
    return weights / weights.sum(), variances[:, None] * unit[:, None, :]


def _monomials(size: int) -> Image:
    """1, x, y, x², xy, y² of each pixel from the image's centre: (6, size * size)."""
    axis = np.arange(size, dtype=np.float32) - np.float32((size - 1) / 2)
    y, x = (a.ravel() for a in np.meshgrid(axis, axis, indexing="ij"))
    return np.stack((np.ones_like(x), x, y, x * x, x * y, y * y))


def _sum(amplitude: Float, covariance: Float, offset: Float, basis: Image) -> Image:
    """Sum of the Gaussians at each pixel (n, 5, pixels): exp of a quadratic form in x and y."""
    xx, xy, yy = np.moveaxis(covariance, -1, 0)
    determinant = xx * yy - xy * xy
    a, b, c = yy / determinant, -xy / determinant, xx / determinant
    x, y = offset[:, 0, None, None], offset[:, 1, None, None]
    height = amplitude / (2.0 * np.pi * np.sqrt(determinant))
    form = np.stack(
        (
            -0.5 * (a * x * x + 2.0 * b * x * y + c * y * y),
            a * x + b * y,
            b * x + c * y,
            -0.5 * a,
            -b,
            -0.5 * c,
        ),
        axis=-1,
    ).astype(np.float32)
    exponent = form @ basis  # n, 5, K, pixels
    np.minimum(exponent, 0.0, out=exponent)
    np.exp(exponent, out=exponent)
    total: Image = (height.astype(np.float32)[:, :, None, :] @ exponent)[:, :, 0]
    return total
