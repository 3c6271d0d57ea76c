"""What a file says of its values is honoured; the tool that wrote the file says what is right."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from astropy import units as u
from astropy.io import fits, votable
from astropy.table import MaskedColumn, Table
from numpy.typing import NDArray

Columns = dict[str, NDArray[Any]]
Written = tuple[Path, Columns]


def lists(array: NDArray[Any]) -> list[Any]:
    return [row.tolist() for row in array]


def basics(objects: Columns) -> dict[str, Any]:
    return {name: objects[name] for name in ("image", "mag", "object_id")}


def scaled_fits_columns(path: Path, objects: Columns) -> Written:
    raw = np.round(objects["image"] * 1000).astype("i2").reshape(7, -1)
    magnitudes = np.round((objects["mag"] - 17) * 1e6).astype("i4")
    z = np.arange(7, dtype="i2")
    z[3] = -99
    table = fits.BinTableHDU.from_columns(
        [
            fits.Column("image", format="320I", dim="(8,8,5)", array=raw),
            fits.Column("mag", format="5J", array=magnitudes),
            fits.Column("z", format="I", array=z, null=-99),
            fits.Column("object_id", format="K", array=objects["object_id"]),
        ]
    )
    for number, scale, zero in ((1, 0.001, 0.0), (2, 1e-6, 17.0), (3, 0.01, 0.1)):
        table.header[f"TSCAL{number}"], table.header[f"TZERO{number}"] = scale, zero
    table.writeto(path / "a.fits")
    with fits.open(path / "a.fits") as file:
        read = {n: np.array(file[1].data[n], float) for n in ("image", "mag", "z")}
    redshifts = np.where(z == -99, np.nan, read["z"])
    return path / "a.fits", {"image": read["image"], "mag": read["mag"], "z_spec": redshifts}


def masked_fits_columns(path: Path, objects: Columns) -> Written:
    table = Table(basics(objects))
    magnitudes = np.ma.masked_array(objects["mag"], mask=False)
    magnitudes[2, 1] = np.ma.masked
    table["mag"] = MaskedColumn(magnitudes)
    table["z_spec"] = MaskedColumn([1, 2, 3, 1, 2, 3, 1], mask=[0, 1, 0, 0, 0, 1, 0])
    table["z_spec"].fill_value = 9999
    table.write(path / "a.fits")
    read = Table.read(path / "a.fits")
    return path / "a.fits", {
        "mag": read["mag"].filled(np.nan),
        "z_spec": read["z_spec"].astype(float).filled(np.nan),
    }


def unsigned_fits_ids(path: Path, objects: Columns) -> Written:
    ids = objects["object_id"].astype(np.uint64)
    Table({**basics(objects), "object_id": ids}).write(path / "a.fits")
    return path / "a.fits", {"object_id": np.array(Table.read(path / "a.fits")["object_id"])}


def scaled_fits_cube(path: Path, objects: Columns) -> Written:
    raw = np.round(objects["image"] * 1000).astype("i2")
    raw[1, 2, 3, 4] = -32768
    cube = fits.ImageHDU(raw, name="FLUX")
    cube.header["BSCALE"], cube.header["BZERO"], cube.header["BLANK"] = 0.001, 0.002, -32768
    table = fits.BinTableHDU(Table({n: objects[n] for n in ("mag", "object_id")}))
    fits.HDUList([fits.PrimaryHDU(), table, cube]).writeto(path / "a.fits")
    return path / "a.fits", {"image": fits.getdata(path / "a.fits", "FLUX")}


def second_fits_table(path: Path, objects: Columns) -> Written:
    zero_points = fits.BinTableHDU(Table({"band": ["u", "g"], "zp": [1.0, 2.0]}))
    table = fits.BinTableHDU(Table(objects), name="OBJECTS")
    fits.HDUList([fits.PrimaryHDU(), zero_points, table]).writeto(path / "a.fits")
    return path / "a.fits", objects


def varying_fits_columns(path: Path, objects: Columns) -> Written:
    flat = np.empty(7, object)
    flat[:] = list(objects["image"].reshape(7, -1))
    columns = [
        fits.Column("image", format="PE()", array=flat),
        fits.Column("mag", format="5E", array=objects["mag"]),
        fits.Column("objID", format="24A", array=objects["object_id"].astype(str)),
    ]
    fits.BinTableHDU.from_columns(columns).writeto(path / "a.fits")
    return path / "a.fits", basics(objects)


def with_units(objects: Columns) -> tuple[Table, Columns]:
    """In other units, and what they are in the pipeline's own by astropy."""
    table = Table(objects)
    table["mag"] = (objects["mag"] * 1000).astype(np.float64) * u.mmag
    table["ra"] = np.radians(objects["ra"]) * u.rad
    table["dec"] = objects["dec"] * 60 * u.arcmin
    expected = {"mag": objects["mag"], "ra": objects["ra"], "dec": objects["dec"]}
    return table, expected


def units_of_fits(path: Path, objects: Columns) -> Written:
    table, expected = with_units(objects)
    table["ra"] = objects["ra"] / 15
    table["ra"].unit = "h"
    table.write(path / "a.fits")
    return path / "a.fits", expected


def units_of_astropys_hdf5(path: Path, objects: Columns) -> Written:
    table, expected = with_units(objects)
    table["z_spec"] = MaskedColumn(objects["z_spec"], mask=[0, 1, 0, 0, 0, 0, 0])
    table.write(path / "a.h5", path="catalogue", serialize_meta=True)
    z = objects["z_spec"].copy()
    z[1] = np.nan
    return path / "a.h5", {**expected, "z_spec": z}


def units_of_astropys_parquet(path: Path, objects: Columns) -> Written:
    table, expected = with_units(objects)
    table["image"] = objects["image"].reshape(7, -1)
    table["z_spec"] = MaskedColumn(objects["z_spec"], mask=[0, 1, 0, 0, 0, 0, 0])
    table.write(path / "a.parquet")
    z = objects["z_spec"].copy()
    z[1] = np.nan
    return path / "a.parquet", {**expected, "z_spec": z}


def units_of_a_votable_in_parquet(path: Path, objects: Columns) -> Written:
    """As STILTS writes it: the table's head as a VOTable in the file's metadata."""
    head = Table({"RA": np.radians(objects["ra"])})
    head["RA"].unit = "rad"
    document = BytesIO()
    votable.writeto(votable.from_table(head[:0]), document)
    table = pq.read_table(parquet(path, objects, RA=np.radians(objects["ra"])))
    said = {"IVOA.VOTable-Parquet.content": document.getvalue()}
    pq.write_table(table.replace_schema_metadata(said), path / "a.parquet")
    return path / "a.parquet", {"ra": objects["ra"]}


def climate_and_forecast_attributes(path: Path, objects: Columns) -> Written:
    raw = np.round(objects["image"] * 1000).astype("i2")
    raw[1, 2, 3, 4] = -32768
    with h5py.File(path / "a.h5", "w") as file:
        file["image"] = raw
        file["image"].attrs["scale_factor"] = 0.001
        file["image"].attrs["add_offset"] = 0.002
        file["image"].attrs["_FillValue"] = np.int16(-32768)
        file["mag"], file["object_id"] = objects["mag"], objects["object_id"]
    expected = np.where(raw == -32768, np.nan, raw * 0.001 + 0.002)
    return path / "a.h5", {"image": expected}


def bands_that_a_dataset_names(path: Path, objects: Columns) -> Written:
    with h5py.File(path / "a.h5", "w") as file:
        file["image"], file["object_id"] = objects["image"], objects["object_id"]
        file["mag"] = objects["mag"][:, ::-1]
        file["mag"].attrs["bands"] = "zirgu"
    return path / "a.h5", basics(objects)


def arrays_beside_the_columns(path: Path, objects: Columns) -> Written:
    extra = {"bands": np.array(list("ugriz")), "pixscale": 0.396, "note": np.array([None, {}])}
    arrays: dict[str, Any] = {**objects, **extra}
    np.savez(path / "a.npz", **arrays)
    return path / "a.npz", objects


def parquet(path: Path, objects: Columns, **columns: Any) -> Path:
    kept: dict[str, Any] = {
        "image": lists(objects["image"].reshape(7, -1)),
        "mag": lists(objects["mag"]),
        "object_id": objects["object_id"],
    }
    pq.write_table(pa.table({**kept, **columns}), path / "a.parquet", row_group_size=3)
    return path / "a.parquet"


def nested_lists(path: Path, objects: Columns) -> Written:
    kind = pa.list_(pa.large_list(pa.list_(pa.float32(), 5)))
    image = pa.array(lists(objects["image"].transpose(0, 2, 3, 1)), kind)
    return parquet(path, objects, image=image), basics(objects)


def lists_from_pandas(path: Path, objects: Columns) -> Written:
    frame = pd.DataFrame(
        {
            "image": list(objects["image"].reshape(7, -1)),
            "mag": list(objects["mag"]),
            "object_id": pd.Series(objects["object_id"]).astype("string").astype("category"),
            "z": pd.Series([0.1, None, 0.3, 0.4, 0.5, 0.6, 0.7], dtype="Float32"),
        }
    )
    frame.to_parquet(path / "a.parquet")
    z = frame["z"].to_numpy(np.float32, na_value=np.nan)
    return path / "a.parquet", {**basics(objects), "z_spec": z}


def permuted_tensors(path: Path, objects: Columns) -> Written:
    """Stored as (H, band, W); the permutation says that (band, W, H) is meant."""
    stored = np.ascontiguousarray(objects["image"].transpose(0, 3, 1, 2))
    kind = pa.fixed_shape_tensor(pa.float32(), (8, 5, 8), permutation=[1, 2, 0])
    flat = pa.FixedSizeListArray.from_arrays(pa.array(stored.reshape(-1)), 320)
    image = pa.ExtensionArray.from_storage(kind, flat)
    assert kind.shape == [8, 5, 8]
    return parquet(path, objects, image=image), basics(objects)


def tensors_of_numpy(path: Path, objects: Columns) -> Written:
    image = np.ascontiguousarray(objects["image"].transpose(0, 2, 3, 1))
    tensor = pa.FixedShapeTensorArray.from_numpy_ndarray(image)
    return parquet(path, objects, image=tensor), basics(objects)


def rows_of_null(path: Path, objects: Columns) -> Written:
    gone = (0, 5)
    expected = {name: objects[name].copy() for name in ("image", "mag")}
    columns: dict[str, Any] = {}
    for name, kind in (("image", pa.list_(pa.float32(), 320)), ("mag", pa.list_(pa.float32()))):
        rows = lists(objects[name].reshape(7, -1))
        expected[name][list(gone)] = np.nan
        columns[name] = pa.array([None if i in gone else r for i, r in enumerate(rows)], kind)
    return parquet(path, objects, **columns), expected


def values_of_null(path: Path, objects: Columns) -> Written:
    rows = lists(objects["mag"])
    rows[2][3] = None
    expected = objects["mag"].copy()
    expected[2, 3] = np.nan
    return parquet(path, objects, mag=rows), {"mag": expected}


def structs_of_bands_and_flux(path: Path, objects: Columns) -> Written:
    bands = list("zirgu")
    image = [{"band": bands, "flux": row[::-1].tolist()} for row in objects["image"]]
    return parquet(path, objects, image=image), basics(objects)


def lists_of_structs(path: Path, objects: Columns) -> Written:
    image = [
        [
            {"band": f"sdss-{band}", "flux": row[at].tolist()}
            for at, band in reversed([*enumerate("ugriz")])
        ]
        for row in objects["image"]
    ]
    return parquet(path, objects, image=image), basics(objects)


def slices_of_arrow(path: Path, objects: Columns) -> Written:
    whole = {n: np.concatenate([c[:3], c]) for n, c in objects.items()}
    table = pa.table({n: lists(whole[n].reshape(10, -1)) for n in ("image", "mag")})
    pq.write_table(
        table.append_column("object_id", pa.array(whole["object_id"])).slice(3), path / "a.parquet"
    )
    return path / "a.parquet", basics(objects)


CASES = [
    scaled_fits_columns,
    masked_fits_columns,
    unsigned_fits_ids,
    scaled_fits_cube,
    second_fits_table,
    varying_fits_columns,
    units_of_fits,
    units_of_astropys_hdf5,
    units_of_astropys_parquet,
    units_of_a_votable_in_parquet,
    climate_and_forecast_attributes,
    bands_that_a_dataset_names,
    arrays_beside_the_columns,
    nested_lists,
    lists_from_pandas,
    permuted_tensors,
    tensors_of_numpy,
    rows_of_null,
    values_of_null,
    structs_of_bands_and_flux,
    lists_of_structs,
    slices_of_arrow,
]


@pytest.mark.parametrize("write", CASES, ids=lambda f: f.__name__)
def test_what_a_file_means_is_packed(
    write: Callable[[Path, Columns], Written],
    objects: Columns,
    tmp_path: Path,
    packed: Callable[..., Columns],
) -> None:
    path, expected = write(tmp_path, objects)
    found = packed(path)
    for name, column in expected.items():
        if name == "object_id":
            assert list(found[name]) == list(column)
        else:
            np.testing.assert_allclose(found[name], column, rtol=3e-7, atol=1e-6, err_msg=name)
