"""Files that name the bands of their axes are packed in the order u, g, r, i, z, or refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from astropy.io import fits
from astropy.table import Table
from numpy.typing import NDArray
from safetensors.numpy import save_file

from cosmic.data.pack.choices import Choices
from cosmic.data.synth.instrument import asinh_magnitude
from cosmic.errors import InputError

Columns = dict[str, NDArray[Any]]
Pack = Callable[..., Columns]
ORDER = "zirgu"


def turned(objects: Columns) -> Columns:
    """Pixels and magnitudes with their bands reversed: beside each other they look right."""
    return {
        "image": np.ascontiguousarray(objects["image"][:, ::-1]),
        "mag": np.ascontiguousarray(objects["mag"][:, ::-1]),
        "object_id": objects["object_id"],
    }


def hdf5(path: Path, columns: Columns, **attributes: Any) -> Path:
    with h5py.File(path / "a.h5", "w") as file:
        group = file.create_group("objects")
        for name, column in columns.items():
            group[name] = column
        for key, value in attributes.items():
            place = file if key.startswith("file_") else group["image"]
            place.attrs[key.removeprefix("file_")] = value
            if place is not file:
                group["mag"].attrs[key] = value
    return path / "a.h5"


def hdf5_list(path: Path, columns: Columns) -> Path:
    with h5py.File(path / "a.h5", "w") as file:
        for name, column in columns.items():
            file[name] = column
        file["filters"] = np.array([f"sdss-{band}" for band in ORDER], "S8")
    return path / "a.h5"


def flat_images(path: Path, columns: Columns) -> Path:
    return hdf5(path, {**columns, "image": columns["image"].reshape(7, -1)}, file_bands=ORDER)


def npz(path: Path, columns: Columns) -> Path:
    arrays: dict[str, Any] = {**columns, "bands": np.array(list(ORDER))}
    np.savez(path / "a.npz", **arrays)
    return path / "a.npz"


def safetensors(path: Path, columns: Columns) -> Path:
    save_file(columns, path / "a.safetensors", metadata={"band_order": ", ".join(ORDER)})
    return path / "a.safetensors"


def parquet(path: Path, columns: Columns) -> Path:
    rows = {n: c.reshape(7, -1).tolist() if c.ndim > 1 else c for n, c in columns.items()}
    table = pa.table(rows).replace_schema_metadata({"bands": ORDER})
    pq.write_table(table, path / "a.parquet")
    return path / "a.parquet"


def torch_dict(path: Path, columns: Columns) -> Path:
    tensors = {name: torch.from_numpy(column) for name, column in columns.items()}
    torch.save({"data": tensors, "bands": list(ORDER), "survey": "SDSS"}, path / "a.pt")
    return path / "a.pt"


def fits_table(path: Path, columns: Columns) -> Path:
    hdu = fits.BinTableHDU(Table(columns))
    hdu.header["BANDS"] = ORDER
    hdu.writeto(path / "a.fits")
    return path / "a.fits"


def fits_primary(path: Path, columns: Columns) -> Path:
    primary = fits.PrimaryHDU()
    primary.header["FILTER"] = ", ".join(ORDER)
    fits.HDUList([primary, fits.BinTableHDU(Table(columns))]).writeto(path / "a.fits")
    return path / "a.fits"


def npz_of(path: Path, columns: Columns, bands: Any) -> Path:
    arrays: dict[str, Any] = {**columns, "bands": np.array(bands)}
    np.savez(path / "a.npz", **arrays)
    return path / "a.npz"


def parquet_of(path: Path, columns: Columns, said: str) -> Path:
    table = pq.read_table(parquet(path, columns)).replace_schema_metadata({"bands": said})
    pq.write_table(table, path / "a.parquet")
    return path / "a.parquet"


def torch_tuple(path: Path, columns: Columns) -> Path:
    tensors = {name: torch.from_numpy(column) for name, column in columns.items()}
    torch.save({**tensors, "bands": tuple(ORDER), "seeing": 1.2}, path / "a.pt")
    return path / "a.pt"


def astropy_meta(file: Path, columns: Columns, **how: Any) -> Path:
    flat = {n: c.reshape(7, -1) if c.ndim > 1 else c for n, c in columns.items()}
    table = Table(flat, meta={"filters": list(ORDER)})
    table.write(file, **how)
    return file


def fits_cube(path: Path, columns: Columns) -> Path:
    table = fits.BinTableHDU(Table({n: columns[n] for n in ("mag", "object_id")}))
    cube = fits.ImageHDU(columns["image"], name="SCI")
    for hdu in (table, cube):
        hdu.header["FILTERS"] = ",".join(ORDER)
    fits.HDUList([fits.PrimaryHDU(), table, cube]).writeto(path / "a.fits")
    return path / "a.fits"


WRITERS: dict[str, Callable[[Path, Columns], Path]] = {
    "attribute of the file": lambda p, c: hdf5(p, c, file_bands=ORDER),
    "attribute of the datasets": lambda p, c: hdf5(p, c, BAND=np.array(list(ORDER), "S1")),
    "flat images": flat_images,
    "dataset beside": hdf5_list,
    "array beside": npz,
    "metadata of tensors": safetensors,
    "metadata of a table": parquet,
    "list in a dict": torch_dict,
    "value of an archive": lambda p, c: npz_of(p, c, ORDER),
    "array of one row": lambda p, c: npz_of(p, c, [list(ORDER)]),
    "single value in HDF5": lambda p, c: hdf5(p, {**c, "bands": np.array(ORDER, "S")}),
    "list as JSON": lambda p, c: parquet_of(p, c, '["z", "i", "r", "g", "u"]'),
    "list as Python writes it": lambda p, c: parquet_of(p, c, "('z', 'i', 'r', 'g', 'u')"),
    "letters with dashes": lambda p, c: parquet_of(p, c, "z-i-r-g-u"),
    "tuple in a dict": torch_tuple,
    "each field by name": lambda p, c: hdf5(p, c, file_image_bands=ORDER, file_mag_bands=ORDER),
    "meta of astropy in HDF5": lambda p, c: astropy_meta(
        p / "a.h5", c, path="objects", serialize_meta=True
    ),
    "meta of astropy in Parquet": lambda p, c: astropy_meta(p / "a.parquet", c),
    "keyword of the file": fits_primary,
    "keyword of a table": fits_table,
    "keyword of a cube": fits_cube,
}


@pytest.mark.parametrize("how", WRITERS)
def test_bands_are_put_in_order(how: str, objects: Columns, tmp_path: Path, packed: Pack) -> None:
    found = packed(WRITERS[how](tmp_path, turned(objects)))
    for name in ("image", "mag", "object_id"):
        assert np.array_equal(found[name], objects[name]), name


@pytest.mark.parametrize(
    "spelled",
    ["sdss-{}", "{}_lsst", "SDSS {}", "{}'", "{}-band", "sdss_{}0", "SLOAN/SDSS.{}", "{}.MP9"],
)
def test_bands_are_known_by_names_that_say_more(
    spelled: str, objects: Columns, tmp_path: Path, packed: Pack
) -> None:
    names = np.array([spelled.format(band) for band in ORDER], "S")
    found = packed(hdf5(tmp_path, turned(objects), file_bands=names))
    for name in ("image", "mag"):
        assert np.array_equal(found[name], objects[name]), name


def test_fluxes_and_their_errors_are_put_in_order_too(
    objects: Columns, tmp_path: Path, packed: Pack
) -> None:
    flux = 10 ** (-0.4 * (objects["mag"].astype(float) - 22.5))
    columns = {
        "image": objects["image"][:, ::-1],
        "modelFlux": flux[:, ::-1],
        "modelFluxIvar": (1 / (0.1 * flux) ** 2)[:, ::-1],
        "object_id": objects["object_id"],
    }
    found = packed(hdf5(tmp_path, columns, file_bands=ORDER))
    mag, mag_err = asinh_magnitude(flux, 0.1 * flux)
    assert np.allclose(found["mag"], mag, atol=1e-5)
    assert np.allclose(found["mag_err"], mag_err, rtol=1e-5)


def test_each_field_of_a_band_may_name_it(objects: Columns, tmp_path: Path, packed: Pack) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file["image"], file["object_id"] = objects["image"], objects["object_id"]
        for at, band in enumerate("ugriz"):
            file[f"m{at}"] = objects["mag"][:, at]
            file[f"m{at}"].attrs["band"] = band
    found = packed(path, Choices(names={"mag": "m4,m3,m2,m1,m0"}))
    assert np.array_equal(found["mag"], objects["mag"])


REFUSED: dict[str, tuple[Any, str]] = {
    "other bands": ("grizy", "its bands g, r, i, z, y lack u"),
    "a list of unknown names": (
        np.array([b"9000", b"7500", b"6200", b"4800", b"3500"]),
        "its bands 9000, 7500, 6200, 4800, 3500 lack u, g, r, i, z",
    ),
    "six for five": ("ugrizy", "mag has 5 bands, but 6 are named: u, g, r, i, z, y"),
}


@pytest.mark.parametrize("how", REFUSED)
def test_bands_that_are_not_ours_are_refused(
    how: str, objects: Columns, tmp_path: Path, packed: Pack
) -> None:
    said, message = REFUSED[how]
    with pytest.raises(InputError, match=message):
        packed(hdf5(tmp_path, turned(objects), file_bands=said))
    assert not (tmp_path / "packed").exists()


@pytest.mark.parametrize(
    "said", ["SDSS", "optical", "r", np.array([b"SDSS", b"clean", b"r<17.77"])]
)
def test_what_names_no_bands_of_an_axis_is_passed_over(
    said: str, objects: Columns, tmp_path: Path, packed: Pack
) -> None:
    plain = {name: objects[name] for name in ("image", "mag", "object_id")}
    found = packed(hdf5(tmp_path, plain, file_filters=said))
    assert np.array_equal(found["mag"], objects["mag"])


def test_a_column_of_bands_in_a_table_is_no_order(
    objects: Columns, tmp_path: Path, packed: Pack
) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        for name in ("image", "mag", "object_id"):
            file[name] = objects[name]
        file["zeropoints/band"] = np.array(list(ORDER), "S1")
        file["zeropoints/value"] = np.arange(5.0)
    found = packed(tmp_path / "a.h5")
    assert np.array_equal(found["mag"], objects["mag"])
