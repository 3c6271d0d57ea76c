"""Which galaxies are there: the real ones, or any number drawn from them inside a flux limit.

A drawn galaxy is a real galaxy's spectrum moved to another redshift. Real galaxies are chosen with
equal chance and moved evenly through the comoving volume in which they stay above the flux limit:
that is the V/Vmax method (Schmidt 1968) turned round. There is no evolution with redshift.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Literal

import numpy as np

from cosmic.data.synth import cosmology
from cosmic.data.synth.instrument import CALIBRATION_SCATTER, ZERO_POINT
from cosmic.data.synth.split import Split, in_split
from cosmic.data.synth.tables import Float, Galaxies, galaxies, template_fluxes
from cosmic.errors import InputError

Population = Literal["catalog", "mock", "legacy", "deep", "faint"]
POPULATIONS: tuple[Population, ...] = ("catalog", "mock", "legacy", "deep", "faint")
G, R = 1, 2  # indices of bands


@dataclass(frozen=True)
class Limits:
    """What a survey takes: redshifts from `z_min` to `z_max`, brighter than `r_max`."""

    z_min: float
    z_max: float
    r_max: float


MAIN = Limits(0.03, 0.30, 17.77)  # Strauss et al. 2002
LUMINOUS_RED = Limits(0.20, 0.42, 19.5)  # after Eisenstein et al. 2001
DRAWN: dict[Population, Limits] = {
    "mock": MAIN,
    "legacy": MAIN,
    "deep": Limits(0.03, 0.42, 19.5),  # as faint as luminous red galaxies, of all colours
    "faint": Limits(0.03, 0.60, 21.5),  # two magnitudes beyond any of them
}
LUMINOUS_RED_SHARE = 0.35  # of the legacy population
LUMINOUS, RED = -22.3, 0.70  # absolute r, and rest-frame g - r, of a luminous red galaxy


@dataclass(frozen=True)
class Sky:
    """N galaxies as the survey would see them without noise.

    Attributes:
        z: (N,) redshifts.
        flux: (N, 5) nanomaggies.
        absolute_r: (N,) rest-frame r magnitude.
        rest_g_r: (N,) rest-frame colour.
        ra: (N,) degrees.
        dec: (N,) degrees.
    """

    z: Float
    flux: Float
    absolute_r: Float
    rest_g_r: Float
    ra: Float
    dec: Float


def real_galaxies(split: Split) -> Galaxies:
    """The real galaxies of a split, in the order of the table."""
    everything = galaxies()
    return everything.take(in_split(everything.object_id, split))


def catalog_sky(real: Galaxies) -> Sky:
    """The real galaxies themselves, with the fluxes measured."""
    absolute_r, rest_g_r = _rest_frame(real)
    return Sky(real.z_spec, real.flux, absolute_r, rest_g_r, real.ra, real.dec)


def draw_sky(population: Population, split: Split, n: int, rng: np.random.Generator) -> Sky:
    """Draw `n` galaxies of a population, made of the real galaxies of a split alone."""
    if population == "catalog":
        raise InputError("the catalog population is not drawn", hint="use catalog_sky")
    red = rng.uniform(size=n) < (LUMINOUS_RED_SHARE if population == "legacy" else 0.0)
    place = rng.uniform(size=(n, 2))  # which galaxy, and where in its volume
    kinds = (_source(split, DRAWN[population]), _source(split, LUMINOUS_RED))
    rows = [
        np.minimum((place[:, 0] * len(k.real)).astype(np.int64), len(k.real) - 1) for k in kinds
    ]
    far = np.where(red, kinds[1].farthest[rows[1]], kinds[0].farthest[rows[0]])
    near = np.where(red, kinds[1].nearest, kinds[0].nearest)
    distance = np.cbrt(near**3 + place[:, 1] * (far**3 - near**3))
    z = cosmology.redshift_at(distance)

    def pick(name: str) -> Float:
        first, second = (getattr(k, name)[i] for k, i in zip(kinds, rows, strict=True))
        chosen: Float = np.where(red.reshape(-1, *[1] * (first.ndim - 1)), second, first)
        return chosen

    dimming = (pick("luminosity_distance") / cosmology.luminosity_distance(z)) ** 2
    flux = template_fluxes().model(pick("coefficients") * dimming[:, None], z)
    flux *= 10.0 ** (-0.4 * CALIBRATION_SCATTER * rng.standard_normal(flux.shape))
    ra = rng.uniform(120.0, 240.0, n)
    dec = np.degrees(np.arcsin(rng.uniform(0.0, np.sin(np.radians(60.0)), n)))
    return Sky(z, flux, pick("absolute_r"), pick("rest_g_r"), ra, dec)


@dataclass(frozen=True)
class _Source:
    """Real galaxies to draw from, with the comoving distances (Mpc) they may be moved to."""

    real: Galaxies
    coefficients: Float
    luminosity_distance: Float
    absolute_r: Float
    rest_g_r: Float
    nearest: float
    farthest: Float


@cache
def _source(split: Split, limits: Limits) -> _Source:
    real = real_galaxies(split)
    absolute_r, rest_g_r = _rest_frame(real)
    if limits is LUMINOUS_RED:
        chosen = (absolute_r < LUMINOUS) & (rest_g_r > RED)
        real, absolute_r, rest_g_r = real.take(chosen), absolute_r[chosen], rest_g_r[chosen]
    farthest = cosmology.comoving_distance(_redshift_limit(real, limits))
    seen = farthest > cosmology.comoving_distance(np.array(limits.z_min))
    kept = real.take(seen)
    return _Source(
        kept,
        kept.coefficients,
        cosmology.luminosity_distance(kept.z_spec),
        absolute_r[seen],
        rest_g_r[seen],
        float(cosmology.comoving_distance(np.array(limits.z_min))),
        farthest[seen],
    )


def _rest_frame(real: Galaxies) -> tuple[Float, Float]:
    """Absolute r magnitude and g - r, K-corrected to redshift 0 by the fitted templates."""
    rest = template_fluxes().model(real.coefficients, np.zeros(len(real)))
    absolute = ZERO_POINT - 2.5 * np.log10(rest) - cosmology.distance_modulus(real.z_spec)[:, None]
    return absolute[:, R], absolute[:, G] - absolute[:, R]


def _redshift_limit(real: Galaxies, limits: Limits) -> Float:
    """Largest redshift (N,) at which each galaxy is still inside the limits; 0 if at none."""
    z = np.linspace(limits.z_min, limits.z_max, 136)
    per_template = template_fluxes().at(z)[:, R]  # Z, templates
    here = cosmology.luminosity_distance(real.z_spec)
    flux = real.coefficients @ per_template.T * here[:, None] ** 2
    flux /= cosmology.luminosity_distance(z) ** 2
    bright = flux > 10.0 ** (0.4 * (ZERO_POINT - limits.r_max))
    steps = np.minimum.accumulate(bright, axis=1).sum(axis=1)  # until it first falls below
    return np.where(steps > 0, z[np.maximum(steps, 1) - 1], 0.0)
