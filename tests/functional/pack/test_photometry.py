"""Magnitudes by the names that surveys give them, and of fluxes: astropy and SDSS say which."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pytest
import torch
from astropy import units as u
from astropy.table import Table
from numpy.typing import NDArray
from safetensors.numpy import save_file

from cosmic.data.pack.choices import Choices
from cosmic.data.pack.columns import map_columns
from cosmic.data.pack.opening import opened
from cosmic.data.pack.pack import pack
from cosmic.errors import InputError

Columns = dict[str, NDArray[Any]]
Packed = Callable[..., Columns]
ROWS = 7
# https://www.sdss4.org/dr17/algorithms/magnitudes/: "zero-flux magnitude [m(f/f0 = 0)]"
ZERO_FLUX = (24.63, 25.11, 24.80, 24.36, 22.83)
BRIGHT = np.linspace(300, 4000, 35).reshape(ROWS, 5)  # nanomaggies
ERROR = BRIGHT / 50


def written(path: Path, objects: Columns, columns: dict[str, Any]) -> Path:
    """By pandas, beside images and ids."""
    images = [row.ravel().tolist() for row in objects["image"]]
    frame = pd.DataFrame({"image": images, "object_id": objects["object_id"], **columns})
    frame.to_parquet(path / "a.parquet")
    return path / "a.parquet"


def bands(name: str, values: NDArray[Any], letters: str = "ugriz") -> dict[str, NDArray[Any]]:
    return {name.format(band): values[:, i] for i, band in enumerate(letters)}


def ab(flux: NDArray[Any], unit: Any) -> NDArray[Any]:
    magnitudes: NDArray[Any] = (flux * unit).to_value(u.ABmag)
    return magnitudes


NAMED = [
    ("{}", "err_{}"),
    ("modelMag_{}", "modelMagErr_{}"),
    ("psfMag_{}", "psfMagErr_{}"),
    ("cModelMag_{}", "cModelMagErr_{}"),
    ("petroMag_{}", "petroMagErr_{}"),
    ("dered_{}", "modelMagErr_{}"),
    ("DERED_MAG_{}", "DERED_MAG_ERR_{}"),
    ("{}MeanPSFMag", "{}MeanPSFMagErr"),
    ("{}_cmodel_mag", "{}_cmodel_magerr"),
    ("{}mag", "e_{}mag"),
    ("mag_auto_{}", "magerr_auto_{}"),
    ("mag_{}_lsst", "mag_err_{}_lsst"),
]


@pytest.mark.parametrize(("name", "error"), NAMED, ids=[name for name, _ in NAMED])
def test_magnitudes_are_known_by_the_names_of_surveys(
    name: str, error: str, objects: Columns, tmp_path: Path, packed: Packed
) -> None:
    columns = {**bands(name, objects["mag"]), **bands(error, objects["mag_err"])}
    found = packed(written(tmp_path, objects, columns))
    assert np.array_equal(found["mag"], objects["mag"])
    assert np.array_equal(found["mag_err"], objects["mag_err"])
    assert "z_spec" not in found


def legacy(path: Path, objects: Columns) -> Path:
    """As a sweep of the Legacy Surveys, with a u band, by astropy; FITS knows no nanomaggies."""
    columns = {**bands("FLUX_{}", BRIGHT, "UGRIZ"), **bands("FLUX_IVAR_{}", ERROR**-2, "UGRIZ")}
    table = {"image": objects["image"], "TARGETID": objects["object_id"], "Z": objects["z_spec"]}
    Table({**table, **columns}).write(path / "a.fits")
    return path / "a.fits"


def rubin(path: Path, objects: Columns) -> Path:
    """As an Object table of Rubin, by h5py."""
    to_njy = (1 * u.nmgy).to_value(u.nJy, u.zero_point_flux(3631 * u.Jy))
    with h5py.File(path / "a.h5", "w") as file:
        file["image"], file["objectId"] = objects["image"], objects["object_id"]
        file["coord_ra"], file["coord_dec"] = objects["ra"], objects["dec"]
        file["z_spec"] = objects["z_spec"]
        columns = bands("{}_cModelFlux", BRIGHT * to_njy)
        for name, values in {**columns, **bands("{}_cModelFluxErr", ERROR * to_njy)}.items():
            file[name] = values
            file[name].attrs["unit"] = "nJy"
    return path / "a.h5"


def microjansky(path: Path, objects: Columns) -> Path:
    to_ujy = (1 * u.nmgy).to_value(u.uJy, u.zero_point_flux(3631 * u.Jy))
    columns = {
        **bands("flux_{}", BRIGHT * to_ujy * u.uJy),
        **bands("flux_ivar_{}", (ERROR * to_ujy) ** -2 / u.uJy**2),
    }
    names = ("image", "object_id", "z_spec")
    Table({**{name: objects[name] for name in names}, **columns}).write(path / "a.fits")
    return path / "a.fits"


@pytest.mark.parametrize("write", [legacy, rubin, microjansky], ids=lambda f: f.__name__)
def test_fluxes_become_magnitudes(
    write: Callable[[Path, Columns], Path], objects: Columns, tmp_path: Path, packed: Packed
) -> None:
    """So bright that asinh magnitudes differ from AB magnitudes by less than 0.001."""
    path = write(tmp_path, objects)
    found = packed(path, check_pixels=False)
    expected = ab(BRIGHT, 3.631 * u.uJy)
    assert np.allclose(found["mag"], expected, atol=1e-3, rtol=0)
    assert np.allclose(found["mag_err"], 2.5 / np.log(10) * ERROR / BRIGHT, rtol=1e-3)
    assert np.array_equal(found["object_id"], objects["object_id"])
    assert np.allclose(found["z_spec"], objects["z_spec"])
    with opened(path) as source:
        taken = map_columns(source, Choices()).taken["mag"]
    assert taken.where.startswith("asinh magnitudes, from ")
    assert taken.unit in ("nanomaggy, by its name", "nJy", "uJy")


def test_a_flux_of_nothing_is_the_magnitude_that_sdss_publishes(
    objects: Columns, tmp_path: Path, packed: Packed
) -> None:
    nothing = bands("modelFlux_{}", np.zeros((ROWS, 5)))
    certain = bands("modelFluxIvar_{}", np.ones((ROWS, 5)))
    found = packed(written(tmp_path, objects, {**nothing, **certain}), check_pixels=False)
    assert np.allclose(found["mag"], [ZERO_FLUX] * ROWS, atol=0.006)


def test_what_was_not_observed_has_no_magnitude(
    objects: Columns, tmp_path: Path, packed: Packed
) -> None:
    """An inverse variance of 0, a null, or a value that no noise makes."""
    flux, ivar = BRIGHT.copy(), ERROR**-2
    ivar[0, 0], flux[1, 1], flux[2, 2], flux[3, 3] = 0, np.nan, -9999, 1e30
    path = written(tmp_path, objects, {**bands("flux_{}", flux), **bands("flux_ivar_{}", ivar)})
    found = packed(path, check_pixels=False)
    missing = np.eye(ROWS, 5, dtype=bool) & (np.arange(ROWS) < 4)[:, None]
    assert np.array_equal(np.isnan(found["mag"]), missing)
    assert np.isfinite(found["mag_err"]).sum() >= missing.size - 4


def test_fluxes_without_errors_have_magnitudes_alone(
    objects: Columns, tmp_path: Path, packed: Packed
) -> None:
    found = packed(
        written(tmp_path, objects, bands("{}_cmodel_flux", BRIGHT * 3631)), check_pixels=False
    )
    assert np.allclose(found["mag"], ab(BRIGHT * 3631, u.nJy), atol=1e-3, rtol=0)
    assert np.isnan(found["mag_err"]).all()


def test_chosen_fluxes_need_a_unit_and_then_become_magnitudes(
    objects: Columns, tmp_path: Path, packed: Packed
) -> None:
    choices = Choices({"mag": ",".join(f"f{band}_flux" for band in "ugriz")})
    columns = bands("f{}_flux", BRIGHT)
    path = written(tmp_path, objects, columns)
    with pytest.raises(InputError, match="fluxes by its name, but has no unit"):
        packed(path, choices)
    Table(
        {"image": objects["image"], **{name: each * u.Jy for name, each in columns.items()}}
    ).write(tmp_path / "b.fits")
    found = packed(tmp_path / "b.fits", choices, check_pixels=False)
    assert np.allclose(found["mag"][0], ab(BRIGHT[0], u.Jy), atol=1e-3, rtol=0)


REFUSED: list[tuple[dict[str, Any], str]] = [
    (
        bands("flux_{}", BRIGHT[:, 1:], "griz"),
        "flux_g, flux_r, flux_i, flux_z lack u.*the bands u, g, r, i, z are needed",
    ),
    (bands("{}MeanPSFMag", BRIGHT, "grizy"), "gMeanPSFMag.* lack u"),
    (
        {**bands("modelMag_{}", BRIGHT / 200), **bands("psfMag_{}", BRIGHT / 200)},
        "mag could be any of modelMag_u, .*; psfMag_u, .*--column mag=a,b,c,d,e",
    ),
    (
        {**bands("modelMag_{}", BRIGHT / 200), **bands("modelFlux_{}", BRIGHT)},
        "mag could be any of modelMag_u, .*modelFlux_u",
    ),
    (
        {**bands("mag_{}", BRIGHT / 200), **bands("dered_mag_{}", BRIGHT / 200)},
        "mag could be any of mag_u, .*dered_mag_u",
    ),
    (
        {
            **bands("flux_{}", BRIGHT),
            **bands("flux_ivar_{}", ERROR),
            **bands("flux_err_{}", ERROR),
        },
        "mag_err could be any of flux_err_u, .*--without mag_err",
    ),
]


@pytest.mark.parametrize(("columns", "message"), REFUSED)
def test_missing_bands_and_several_measurements_are_refused(
    columns: dict[str, Any], message: str, objects: Columns, tmp_path: Path
) -> None:
    path = written(tmp_path, objects, columns)
    with pytest.raises(InputError, match=message):
        pack([path], tmp_path / "out", Choices(), partition_bytes=1 << 20)


def test_of_several_measurements_one_is_chosen_with_its_errors(
    objects: Columns, tmp_path: Path, packed: Packed
) -> None:
    columns = {
        **bands("modelMag_{}", objects["mag"]),
        **bands("modelMagErr_{}", objects["mag_err"]),
        **bands("psfMag_{}", objects["mag"] + 1),
        **bands("psfMagErr_{}", objects["mag_err"] + 1),
    }
    names = ",".join(f"psfMag_{band}" for band in "ugriz")
    found = packed(written(tmp_path, objects, columns), Choices({"mag": names}))
    assert np.array_equal(found["mag"], objects["mag"] + 1)
    assert np.array_equal(found["mag_err"], objects["mag_err"] + 1)


@pytest.mark.parametrize("name", ["modelMag_{}", "{}_cmodel_mag", "FLUX_{}"])
def test_a_z_beside_named_bands_is_a_redshift(
    name: str, objects: Columns, tmp_path: Path, packed: Packed
) -> None:
    columns = {**bands(name, objects["mag"]), "z": objects["z_spec"]}
    found = packed(written(tmp_path, objects, columns))
    assert np.array_equal(found["z_spec"], objects["z_spec"])


def test_a_z_that_was_chosen_as_a_magnitude_is_no_redshift(
    objects: Columns, tmp_path: Path, packed: Packed
) -> None:
    columns = bands("{}", objects["mag"], "abcdz")
    found = packed(written(tmp_path, objects, columns), Choices({"mag": "a,b,c,d,z"}))
    assert np.array_equal(found["mag"], objects["mag"])
    assert "z_spec" not in found


def test_errors_of_other_magnitudes_are_not_taken(
    objects: Columns, tmp_path: Path, packed: Packed
) -> None:
    columns = {
        **bands("mag_{}", objects["mag"]),
        **bands("mag_err_{}", objects["mag_err"]),
        **bands("psfMag_{}", objects["mag"] + 1),
    }
    names = ",".join(f"psfMag_{band}" for band in "ugriz")
    found = packed(written(tmp_path, objects, columns), Choices({"mag": names}))
    assert np.isnan(found["mag_err"]).all()


def five_names(objects: Columns) -> dict[str, Any]:
    names = ("object_id", "ra", "dec")
    return {**bands("m_{}", objects["mag"]), **{name: objects[name] for name in names}}


def in_hdf5(path: Path, columns: dict[str, Any]) -> None:
    with h5py.File(path, "w") as file:
        for name, values in columns.items():
            file[name] = values


def in_parquet(path: Path, columns: dict[str, Any]) -> None:
    pd.DataFrame(columns).to_parquet(path)


def in_torch(path: Path, columns: dict[str, Any]) -> None:
    torch.save({n: torch.from_numpy(np.array(c)) for n, c in columns.items()}, path)


def in_safetensors(path: Path, columns: dict[str, Any]) -> None:
    save_file({n: np.ascontiguousarray(c) for n, c in columns.items()}, path)


def in_votable(path: Path, columns: dict[str, Any]) -> None:
    Table(columns).write(path, format="votable")


WRITERS: dict[str, Callable[[Path, dict[str, Any]], None]] = {
    "a.fits": lambda path, columns: Table(columns).write(path),
    "a.fits.gz": lambda path, columns: Table(columns).write(path),
    "a.h5": in_hdf5,
    "a.parquet": in_parquet,
    "a.npz": lambda path, columns: np.savez(path, **columns),
    "a.pt": in_torch,
    "a.safetensors": in_safetensors,
    "a.csv": lambda path, columns: pd.DataFrame(columns).to_csv(path, index=False),
    "a.ecsv": lambda path, columns: Table(columns).write(path, format="ascii.ecsv"),
    "a.vot": in_votable,
}


@pytest.mark.parametrize("name", WRITERS)
def test_five_fields_are_named_in_every_container(
    name: str, objects: Columns, tmp_path: Path, packed: Packed
) -> None:
    WRITERS[name](tmp_path / name, five_names(objects))
    np.save(tmp_path / "images.npy", objects["image"])
    choices = Choices({"mag": "m_u, m_g,m_r,m_i,m_z"}, cutouts=tmp_path / "images.npy")
    found = packed(tmp_path / name, choices)
    assert np.array_equal(found["mag"], objects["mag"])
    assert np.array_equal(found["object_id"], objects["object_id"])
