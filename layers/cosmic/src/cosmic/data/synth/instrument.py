"""An SDSS-like camera: seeing, sky, gain, noise, and the survey's magnitudes."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]

PIXEL_ARCSEC: Final = 0.396
ZERO_POINT: Final = 22.5  # magnitude of one nanomaggy

# Per band u g r i z. Sky and seeing: typical of the imaging survey (Gunn et al. 1998; York et al.
# 2000); gain: electrons per nanomaggy from electrons per count and counts per nanomaggy.
SEEING_FWHM_ARCSEC: Final = np.array([1.53, 1.44, 1.32, 1.26, 1.29])
SKY_MAG_ARCSEC2: Final = np.array([22.0, 21.8, 20.9, 20.3, 19.0])
ELECTRONS_PER_NANOMAGGY: Final = np.array([150.0, 980.0, 940.0, 690.0, 130.0])
READ_NOISE_ELECTRONS: Final = np.array([6.5, 4.5, 4.5, 5.0, 4.5])

# A double Gaussian: the wings hold a tenth of the light at 2.6 times the width.
WING_FRACTION: Final = 0.10
WING_WIDTH: Final = 2.6
SEEING_SCATTER: Final = 0.08  # in ln(FWHM), the same in all bands

SOFTENING: Final = np.array([1.4e-10, 0.9e-10, 1.2e-10, 1.8e-10, 7.4e-10])  # Lupton et al. 1999
CALIBRATION_SCATTER: Final = np.array([0.02, 0.01, 0.01, 0.01, 0.01])  # Padmanabhan et al. 2008
_POGSON: Final = 2.5 / np.log(10.0)


def sky_sigma() -> Float:
    """Noise of an empty pixel (5,) in nanomaggies."""
    sky = 10.0 ** (0.4 * (ZERO_POINT - SKY_MAG_ARCSEC2)) * PIXEL_ARCSEC**2 * ELECTRONS_PER_NANOMAGGY
    noise: Float = np.sqrt(sky + READ_NOISE_ELECTRONS**2) / ELECTRONS_PER_NANOMAGGY
    return noise


def pixel_noise(image: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """Noise of sky, reading and the source's own light, for an image (N, 5, H, W)."""
    sky = sky_sigma().astype(np.float32)[:, None, None] ** 2
    gain = ELECTRONS_PER_NANOMAGGY.astype(np.float32)[:, None, None]
    sigma = np.sqrt(sky + np.maximum(image, 0.0) / gain)
    noise: NDArray[np.float32] = sigma * rng.standard_normal(image.shape, dtype=np.float32)
    return noise


def flux_error(flux: Float, half_light_arcsec: Float) -> Float:
    """Expected error of a fitted flux (N, 5) in nanomaggies.

    Sky noise over the area the fit weighs, and the source's photons.

    Args:
        flux: (N, 5) nanomaggies.
        half_light_arcsec: (N,).
    """
    seeing = SEEING_FWHM_ARCSEC / 2.355
    area = 4.0 * np.pi * (half_light_arcsec[:, None] ** 2 + seeing**2) / PIXEL_ARCSEC**2  # pixels
    variance = area * sky_sigma() ** 2 + np.maximum(flux, 0.0) / ELECTRONS_PER_NANOMAGGY
    error: Float = np.sqrt(variance)
    return error


def asinh_magnitude(
    flux: Float, error: Float, softening: Float = SOFTENING
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """SDSS asinh magnitudes and their errors (Lupton, Gunn & Szalay 1999, equations 3 and 4).

    Args:
        flux: (N, B) nanomaggies, of any sign.
        error: (N, B) nanomaggies.
        softening: (B,) maggies; those of SDSS are of u g r i z.
    """
    x = flux * 1e-9 / (2.0 * softening)
    mag = -_POGSON * (np.arcsinh(x) + np.log(softening))
    mag_err = _POGSON * error * 1e-9 / (2.0 * softening) / np.sqrt(1.0 + x**2)
    return mag.astype(np.float32), mag_err.astype(np.float32)
