"""Sizes and shapes: a disk and a bulge for each galaxy, from its luminosity and colour."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cosmic.data.synth.cosmology import kpc_per_arcsec

Float = NDArray[np.float64]

RED_SEQUENCE = 0.68  # rest-frame g - r that parts early from late types
DISK_THICKNESS = 0.2  # axis ratio of a disk seen edge-on
BULGE_REDDENING = np.array([0.25, 0.12, 0.0, -0.04, -0.07])  # mag redder than the galaxy, against r
MAX_BULGE = 0.95  # share of the light in any band

# Shen et al. 2003, MNRAS 343, 978: equations 14 (early), 15 (late) and 16 (scatter).
EARLY_SLOPE, EARLY_ZERO = 0.65, -5.06
LATE_FAINT, LATE_BRIGHT, LATE_ZERO, LATE_TURN = 0.26, 0.51, -1.71, -20.91
SCATTER_FAINT, SCATTER_BRIGHT = 0.45, 0.27


@dataclass(frozen=True)
class Morphology:
    """The shape of N galaxies on the sky.

    Attributes:
        half_light: (N,) radius of half the light, arcsec.
        disk_radius: (N,) half-light radius of the disk's major axis, arcsec.
        bulge_radius: (N,) that of the bulge.
        disk_axis_ratio: (N,) minor over major axis.
        bulge_axis_ratio: (N,).
        angle: (N,) position angle of both, radians from +x to +y.
        bulge_share: (N, 5) share of the bulge in each band's light.
    """

    half_light: Float
    disk_radius: Float
    bulge_radius: Float
    disk_axis_ratio: Float
    bulge_axis_ratio: Float
    angle: Float
    bulge_share: Float


def median_size(absolute_r: Float, early: NDArray[np.bool_]) -> Float:
    """Median half-light radius in kpc (Shen et al. 2003, equations 14 and 15; H0 = 70)."""
    m = absolute_r
    red = -0.4 * EARLY_SLOPE * m + EARLY_ZERO
    bend = np.log10(1.0 + 10.0 ** (-0.4 * (m - LATE_TURN)))
    blue = -0.4 * LATE_FAINT * m + (LATE_BRIGHT - LATE_FAINT) * bend + LATE_ZERO
    return 10.0 ** np.where(early, red, blue)


def size_scatter(absolute_r: Float) -> Float:
    """Scatter in ln(radius) (Shen et al. 2003, equation 16)."""
    bright = 1.0 + 10.0 ** (-0.8 * (absolute_r - LATE_TURN))
    return SCATTER_BRIGHT + (SCATTER_FAINT - SCATTER_BRIGHT) / bright


def draw(z: Float, absolute_r: Float, rest_g_r: Float, rng: np.random.Generator) -> Morphology:
    """Draw shapes for galaxies of given redshift, r luminosity and rest-frame colour, (N,) each."""
    n = len(z)
    early = rest_g_r > RED_SEQUENCE
    kpc = median_size(absolute_r, early) * np.exp(size_scatter(absolute_r) * rng.standard_normal(n))
    half_light = kpc / kpc_per_arcsec(z)
    share = np.where(early, rng.uniform(0.5, 0.95, n), rng.beta(1.3, 5.0, n))
    redder = share[:, None] * 10.0 ** (-0.4 * BULGE_REDDENING)
    cosine = rng.uniform(0.0, 1.0, n)  # of the inclination
    return Morphology(
        half_light=half_light,
        disk_radius=np.where(early, 1.4, 1.1) * half_light,
        bulge_radius=np.where(early, 0.85, 0.35) * half_light,
        disk_axis_ratio=np.sqrt(DISK_THICKNESS**2 + (1.0 - DISK_THICKNESS**2) * cosine**2),
        bulge_axis_ratio=rng.uniform(0.6, 1.0, n),
        angle=rng.uniform(0.0, np.pi, n),
        bulge_share=np.minimum(redder, MAX_BULGE),
    )
