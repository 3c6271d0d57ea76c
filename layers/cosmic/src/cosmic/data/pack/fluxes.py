"""Magnitudes of fluxes, in the definition that the model was trained on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np

from cosmic.contracts.bands import BANDS, Bands
from cosmic.data.pack.bands import read_in_order
from cosmic.data.pack.source import Array, Field, Values
from cosmic.data.synth.instrument import SOFTENING, asinh_magnitude

Measured = tuple[Values, Array, Array]
LEAST_SOFTENINGS = -10.0
NANOMAGGIES_OF_A_MAGGY = 1e9


@dataclass(frozen=True)
class Fluxes:
    """Fluxes in some bands, and what says how sure they are.

    Attributes:
        values: One field a band, or one of all bands.
        errors: As `values`; empty: the file says nothing of them.
        factor: Nanomaggies of one unit of the fluxes.
        error_factor: Nanomaggies of one unit of the errors; of inverse variances, of their
            inverse root.
        inverse_variances: Whether `errors` are that.
        unit: Of the fluxes, for people.
        bands: That are taken, in order.
    """

    values: tuple[Field, ...]
    errors: tuple[Field, ...]
    factor: float
    error_factor: float
    inverse_variances: bool
    unit: str
    bands: Bands = BANDS

    def magnitudes(self, start: int, stop: int) -> Measured:
        """The fluxes as they are in the file, their asinh magnitudes and errors (rows, B).

        A flux is missing if the file says so, if its error is not a positive number (an inverse
        variance of 0 says that nothing was observed), or if it lies further below zero than noise
        can take it: ten times the softening of its band.
        """
        return self._read(start, stop)

    @cached_property
    def _read(self) -> Callable[[int, int], Measured]:
        """Magnitudes and errors are asked for one after the other; files are read forwards."""
        return lru_cache(maxsize=1)(self._converted)

    def _converted(self, start: int, stop: int) -> Measured:
        values = read_in_order(self.values, start, stop, self.bands)
        flux = values.data.astype(np.float64) * self.factor
        error = self._errors(start, stop)
        softening = _softening(self.bands)
        gone = (flux < LEAST_SOFTENINGS * softening * NANOMAGGIES_OF_A_MAGGY) | (
            False if error is None else np.isnan(error)
        )
        error = np.full(flux.shape, np.nan) if error is None else error
        with np.errstate(over="ignore", invalid="ignore"):
            mag, mag_err = asinh_magnitude(np.where(gone, np.nan, flux), error, softening)
        return values, mag, mag_err

    def _errors(self, start: int, stop: int) -> Array | None:
        """In nanomaggies; NaN where there is none."""
        if not self.errors:
            return None
        said = read_in_order(self.errors, start, stop, self.bands)
        with np.errstate(divide="ignore", invalid="ignore"):
            error = said.data.astype(np.float64)
            error = 1.0 / np.sqrt(error) if self.inverse_variances else error
            known = (error > 0) & np.isfinite(error) & ~said.missing_values()
        result: Array = np.where(known, error * self.error_factor, np.nan)
        return result


def _softening(bands: Bands) -> Array:
    """Of each band, in maggies; SDSS's, and that of z for bands that SDSS doesn't have."""
    known = dict(zip(BANDS, SOFTENING.tolist(), strict=True))
    return np.array([known.get(band, known["z"]) for band in bands])


def in_all_bands(fields: Sequence[Field], bands: Bands) -> bool:
    """Whether these are numbers in all bands: one field a band, or one of all."""
    shapes = [f.row_shape for f in fields]
    return shapes == [()] * len(bands) or shapes == [(len(bands),)]
