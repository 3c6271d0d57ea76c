"""The shipped tables: real galaxies with their fitted spectra, and template fluxes by redshift."""

from __future__ import annotations

import io
from dataclasses import dataclass
from functools import cache
from importlib import resources

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

Float = NDArray[np.float64]

BANDS = "ugriz"
TEMPLATES = 5
GALAXIES_FILE = "galaxies.parquet"
TEMPLATES_FILE = "templates.parquet"


@dataclass(frozen=True)
class Galaxies:
    """Real SDSS Main-sample galaxies.

    Attributes:
        object_id: (N,) int64, made of the position: SDSS's own id is not in the source.
        ra: (N,) float64 degrees.
        dec: (N,) float64 degrees.
        z_spec: (N,) float64 spectroscopic redshift.
        flux: (N, 5) float64 model flux in nanomaggies, corrected for Galactic extinction.
        flux_error: (N, 5) float64.
        coefficients: (N, 5) float64, of the templates at `z_spec`, all >= 0.
    """

    object_id: NDArray[np.int64]
    ra: Float
    dec: Float
    z_spec: Float
    flux: Float
    flux_error: Float
    coefficients: Float

    def __len__(self) -> int:
        return len(self.object_id)

    def take(self, rows: NDArray[np.int64] | NDArray[np.bool_]) -> Galaxies:
        """Some of the galaxies, by index or mask."""
        return Galaxies(**{name: column[rows] for name, column in vars(self).items()})


@dataclass(frozen=True)
class TemplateFluxes:
    """Fluxes of the five templates through the SDSS filters.

    Attributes:
        z: (Z,) float64 redshifts, evenly spaced from 0.
        flux: (Z, 5 bands, 5 templates) float64 nanomaggies, for a coefficient of one and a
            luminosity distance kept at that of the fit.
    """

    z: Float
    flux: Float

    def at(self, z: Float) -> Float:
        """Template fluxes (N, 5 bands, 5 templates) at redshifts (N,), linear in between."""
        place = np.clip(z / self.z[1], 0.0, len(self.z) - 1.000001)
        below = place.astype(np.int64)
        share = (place - below)[:, None, None]
        between: Float = self.flux[below] * (1.0 - share) + self.flux[below + 1] * share
        return between

    def model(self, coefficients: Float, z: Float) -> Float:
        """Fluxes (N, 5) of coefficients (N, 5) seen at redshifts (N,)."""
        fluxes: Float = np.einsum("nbt,nt->nb", self.at(z), coefficients)
        return fluxes


def _read(name: str) -> dict[str, NDArray[np.float64]]:
    raw = resources.files(__package__).joinpath(name).read_bytes()
    table = pq.read_table(io.BytesIO(raw))
    return {column: table[column].to_numpy() for column in table.column_names}


@cache
def galaxies() -> Galaxies:
    """The shipped galaxies, in the order of the table."""
    t = _read(GALAXIES_FILE)

    def stack(prefix: str, names: str) -> Float:
        return np.stack([t[prefix + n] for n in names], axis=1).astype(np.float64)

    return Galaxies(
        object_id=t["object_id"].astype(np.int64),
        ra=t["ra"],
        dec=t["dec"],
        z_spec=t["z_spec"].astype(np.float64),
        flux=stack("flux_", BANDS),
        flux_error=stack("flux_error_", BANDS),
        coefficients=stack("coefficient_", "01234"),
    )


@cache
def template_fluxes() -> TemplateFluxes:
    """The shipped template fluxes."""
    t = _read(TEMPLATES_FILE)
    flux = [[t[f"flux_{b}_{k}"] for k in range(TEMPLATES)] for b in BANDS]
    return TemplateFluxes(t["z"], np.moveaxis(np.array(flux, dtype=np.float64), 2, 0))
