"""Makes the shipped tables from `kcorrect` (a development extra; nothing else needs it).

Its wheel carries 10,000 real galaxies of the SDSS Main sample (positions, ugriz model fluxes,
extinctions, spectroscopic redshifts), five spectral templates and the SDSS filters (Blanton &
Roweis 2007). Each galaxy is fitted with non-negative template coefficients at its redshift.
"""

from __future__ import annotations

from importlib import import_module, resources
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from cosmic.data.synth.tables import BANDS, GALAXIES_FILE, TEMPLATES, TEMPLATES_FILE

Float = NDArray[np.float64]

RESPONSES = [f"sdss_{band}0" for band in BANDS]
AB_CORRECTION = np.array([-0.036, 0.012, 0.010, 0.028, 0.040])  # mag, SDSS system to AB
ERROR_FLOOR = np.array([0.05, 0.02, 0.02, 0.02, 0.03])  # mag, of a fit
Z_RANGE = (0.01, 0.4)
R_RANGE = (12.5, 18.5)  # mag
Z_STEP, Z_TOP = 0.002, 0.6
REAL_ID = 10**18


def derive(out: Path) -> dict[str, int]:
    """Write `galaxies.parquet` and `templates.parquet` into a folder.

    Returns:
        Rows `read` and rows `kept` after the sanity cuts.
    """
    out.mkdir(parents=True, exist_ok=True)
    fitter = _fitter()
    table = _source()
    kept = table[_sane(table)]
    deredden = 10.0 ** (0.4 * kept["EXTINCTION"].astype(np.float64))
    flux = kept["MODELFLUX"].astype(np.float64) * deredden
    error = deredden / np.sqrt(kept["MODELFLUX_IVAR"].astype(np.float64))
    coefficients = _fit(fitter, kept["Z"].astype(np.float64), flux, error)
    columns: dict[str, NDArray[Any]] = {
        "object_id": position_id(kept["RA"], kept["DEC"]),
        "ra": kept["RA"].astype(np.float64),
        "dec": kept["DEC"].astype(np.float64),
        "z_spec": kept["Z"].astype(np.float32),
    }
    columns |= {f"flux_{b}": flux[:, i].astype(np.float32) for i, b in enumerate(BANDS)}
    columns |= {f"flux_error_{b}": error[:, i].astype(np.float32) for i, b in enumerate(BANDS)}
    columns |= {f"coefficient_{k}": coefficients[:, k].astype(np.float32) for k in range(TEMPLATES)}
    _write(out / GALAXIES_FILE, columns)
    _write(out / TEMPLATES_FILE, _template_columns(fitter))
    return {"read": len(table), "kept": len(kept)}


def position_id(ra: Float, dec: Float) -> NDArray[np.int64]:
    """A 19-digit id of a position: 1, then ra and dec + 90 in millionths of a degree."""
    east = np.round(np.asarray(ra, np.float64) * 1e6).astype(np.int64)
    north = np.round((np.asarray(dec, np.float64) + 90.0) * 1e6).astype(np.int64)
    return REAL_ID + east * 10**9 + north


def _source() -> Any:
    fits = import_module("astropy.io.fits")
    path = resources.files("kcorrect") / "data" / "test" / "gst_tests_small.fits"
    return fits.getdata(str(path), 1)


def _fitter() -> Any:
    return import_module("kcorrect.kcorrect").Kcorrect(
        responses=RESPONSES, redshift_range=[0.0, Z_TOP], nredshift=1 + round(Z_TOP / Z_STEP)
    )


def _sane(t: Any) -> NDArray[np.bool_]:
    """Positive fluxes with errors, redshift and r magnitude of the Main sample."""
    with np.errstate(invalid="ignore", divide="ignore"):
        r = 22.5 - 2.5 * np.log10(t["MODELFLUX"][:, 2]) - t["EXTINCTION"][:, 2]
    bright = (r > R_RANGE[0]) & (r < R_RANGE[1])
    near = (t["Z"] > Z_RANGE[0]) & (t["Z"] < Z_RANGE[1])
    measured = (t["MODELFLUX"] > 0).all(axis=1) & (t["MODELFLUX_IVAR"] > 0).all(axis=1)
    sane: NDArray[np.bool_] = bright & near & measured
    return sane


def _fit(fitter: Any, z: Float, flux: Float, error: Float) -> Float:
    to_ab = 10.0 ** (-0.4 * AB_CORRECTION)
    floor = ERROR_FLOOR * np.log(10.0) / 2.5 * flux
    sigma = np.hypot(error, floor)
    coefficients = fitter.fit_coeffs(
        redshift=z, maggies=flux * to_ab * 1e-9, ivar=(sigma * to_ab * 1e-9) ** -2.0
    )
    return np.asarray(coefficients, np.float64)


def _template_columns(fitter: Any) -> dict[str, NDArray[Any]]:
    z = np.round(np.arange(0.0, Z_TOP + Z_STEP / 2, Z_STEP), 6)
    ab_maggies = fitter.Amatrix(np.minimum(z, fitter.redshifts[-1]).astype(np.float32))
    flux = ab_maggies * 1e9 * 10.0 ** (0.4 * AB_CORRECTION)[None, :, None]  # (Z, bands, templates)
    columns: dict[str, NDArray[Any]] = {"z": z}
    for i, band in enumerate(BANDS):
        for k in range(TEMPLATES):
            columns[f"flux_{band}_{k}"] = flux[:, i, k].astype(np.float32)
    return columns


def _write(path: Path, columns: dict[str, NDArray[Any]]) -> None:
    pq.write_table(
        pa.table(columns),
        path,
        compression="zstd",
        compression_level=19,
        use_dictionary=False,
        column_encoding={
            name: "BYTE_STREAM_SPLIT" if column.dtype.kind == "f" else "PLAIN"
            for name, column in columns.items()
        },
    )
