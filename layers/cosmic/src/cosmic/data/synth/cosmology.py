"""Distances in a flat universe with matter and a cosmological constant (Hogg 1999)."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]

HUBBLE = 70.0  # km/s/Mpc
OMEGA_MATTER = 0.3
LIGHT = 299_792.458  # km/s
_Z_MAX, _STEPS = 1.0, 2000


@cache
def _table() -> tuple[Float, Float]:
    z = np.linspace(0.0, _Z_MAX, _STEPS + 1)
    rate = 1.0 / np.sqrt(OMEGA_MATTER * (1.0 + z) ** 3 + 1.0 - OMEGA_MATTER)
    steps = np.diff(z) * (rate[1:] + rate[:-1]) / 2.0  # trapezoids
    return z, LIGHT / HUBBLE * np.concatenate(([0.0], np.cumsum(steps)))


def comoving_distance(z: Float) -> Float:
    """Line-of-sight comoving distance in Mpc, for redshifts from 0 to 1."""
    return np.interp(z, *_table())


def redshift_at(distance: Float) -> Float:
    """Redshift of a comoving distance in Mpc."""
    z, distances = _table()
    return np.interp(distance, distances, z)


def luminosity_distance(z: Float) -> Float:
    """Luminosity distance in Mpc."""
    return (1.0 + z) * comoving_distance(z)


def distance_modulus(z: Float) -> Float:
    """Apparent minus absolute magnitude, without K correction."""
    return 5.0 * np.log10(luminosity_distance(z)) + 25.0


def kpc_per_arcsec(z: Float) -> Float:
    """Proper size of one arcsecond in kpc."""
    return 1000.0 * comoving_distance(z) / (1.0 + z) * np.pi / 648_000.0
