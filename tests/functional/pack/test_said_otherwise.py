"""What files say in ways that are less usual, but mean something: honoured, or refused."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from astropy.io import fits
from astropy.table import Table
from numpy.typing import NDArray

from cosmic.contracts.text_ids import restored_ids
from cosmic.data.pack.choices import Choices
from cosmic.data.pack.units import nanomaggies, said_unit
from cosmic.errors import InputError

Columns = dict[str, NDArray[Any]]
Pack = Callable[..., Columns]
Written = tuple[Path, dict[str, Any]]
FILL = -999.9  # another number in float32
TEXTS = [f"a-{i}" for i in range(7)]


def basics(objects: Columns, *without: str) -> dict[str, Any]:
    kept = [name for name in ("image", "mag", "object_id") if name not in without]
    return {name: objects[name] for name in kept}


def parquet(path: Path, objects: Columns, **columns: Any) -> Path:
    plain = {n: list(c.reshape(7, -1)) if c.ndim > 1 else c for n, c in basics(objects).items()}
    kept = {n: c for n, c in {**plain, **columns}.items() if c is not None}
    pq.write_table(pa.table(kept), path / "a.parquet")
    return path / "a.parquet"


def fills_of_another_dtype(path: Path, objects: Columns) -> Written:
    image, mag = objects["image"].copy(), objects["mag"].copy()
    image[1, 2, 3, 4], mag[2, 3] = np.float32(FILL), np.float32(20.1)
    with h5py.File(path / "a.h5", "w") as file:
        file["image"], file["mag"], file["object_id"] = image, mag, objects["object_id"]
        file["image"].attrs["missing_value"] = str(FILL)
        file["mag"].attrs["_FillValue"] = 20.1
    image[1, 2, 3, 4] = mag[2, 3] = np.nan
    return path / "a.h5", {"image": image, "mag": mag}


def rows_that_were_never_written(path: Path, objects: Columns) -> Written:
    with h5py.File(path / "a.h5", "w") as file:
        file["mag"], file["object_id"] = objects["mag"], objects["object_id"]
        shape = objects["image"].shape
        made = file.create_dataset("image", shape, "f4", fillvalue=-1e30, chunks=(1, *shape[1:]))
        made[:6] = objects["image"][:6]
    image = objects["image"].copy()
    image[6] = np.nan
    return path / "a.h5", {"image": image}


def scaled_arrays_of_varying_length(path: Path, objects: Columns) -> Written:
    with h5py.File(path / "a.h5", "w") as file:
        file["mag"], file["object_id"] = objects["mag"], objects["object_id"]
        made = file.create_dataset("image", (7,), h5py.vlen_dtype("i4"))
        made.attrs["scale_factor"] = 0.001
        for row, image in enumerate(objects["image"]):
            made[row] = np.round(image.ravel() * 1000)
    return path / "a.h5", basics(objects)


def units_in_capitals(path: Path, objects: Columns) -> Written:
    with h5py.File(path / "a.h5", "w") as file:
        for name, column in basics(objects).items():
            file[name] = column
        file["ra"] = np.radians(objects["ra"])
        file["ra"].attrs["UNITS"] = np.array([b"rad"])
        file["dec"] = objects["dec"]
        file["dec"].attrs["Unit"] = h5py.Empty("S1")
    return path / "a.h5", {"ra": objects["ra"], "dec": objects["dec"]}


def units_in_capitals_in_parquet(path: Path, objects: Columns) -> Written:
    table = pq.read_table(parquet(path, objects))
    said = pa.field("ra", pa.float64(), metadata={"Unit": "rad"})
    pq.write_table(table.append_column(said, [np.radians(objects["ra"])]), path / "a.parquet")
    return path / "a.parquet", {"ra": objects["ra"]}


def records_in_records(path: Path, objects: Columns) -> Written:
    measured = np.dtype([("mag", "f4", 5), ("name", "S4")])
    kind = [("image", "f4", objects["image"].shape[1:]), ("cat", measured), ("object_id", "i8")]
    records = np.empty(7, kind)
    records["image"], records["object_id"] = objects["image"], objects["object_id"]
    records["cat"]["mag"] = objects["mag"]
    np.save(path / "a.npy", records)
    return path / "a.npy", basics(objects)


def datasets_of_arrays(path: Path, objects: Columns) -> Written:
    with h5py.File(path / "a.h5", "w") as file:
        file["mag"], file["object_id"] = objects["mag"], objects["object_id"]
        made = file.create_dataset("image", (7,), np.dtype(("f4", objects["image"].shape[1:])))
        made[...] = objects["image"]
    return path / "a.h5", basics(objects)


def texts_as_bytes(path: Path, objects: Columns) -> Written:
    ids = pa.array([text.encode() for text in TEXTS], pa.binary())
    return parquet(path, objects, object_id=ids), {"object_id": TEXTS}


def whole_numbers_as_decimals(path: Path, objects: Columns) -> Written:
    ids = pa.array([Decimal(int(i)) for i in objects["object_id"]], pa.decimal128(38, 0))
    return parquet(path, objects, object_id=ids), {"object_id": objects["object_id"]}


def columns_of_nothing_but_nulls(path: Path, objects: Columns) -> Written:
    nothing = np.full(7, np.nan)
    return parquet(path, objects, z_spec=pa.nulls(7), ra=pa.nulls(7)), {"z_spec": nothing}


def half_floats_with_a_null(path: Path, objects: Columns) -> Written:
    halves = objects["mag"].astype("f2")
    rows: list[Any] = [row.tolist() for row in halves]
    rows[2][1] = None
    mag = halves.astype("f4")
    mag[2, 1] = np.nan
    return parquet(path, objects, mag=pa.array(rows, pa.list_(pa.float16()))), {"mag": mag}


def structs_of_bands(path: Path, objects: Columns) -> Written:
    each = [pa.array(objects["mag"][:, at]) for at in (4, 3, 2, 1, 0)]
    mag = pa.StructArray.from_arrays(each, list("zirgu"))
    return parquet(path, objects, mag=mag), basics(objects)


def names_with_dots(path: Path, objects: Columns) -> Written:
    each = {f"modelMag.{b}": objects["mag"][:, at] for at, b in enumerate("ugriz")}
    return parquet(path, objects, mag=None, **each), basics(objects)


def an_index_of_pandas_that_counts(path: Path, objects: Columns) -> Written:
    frame = pd.DataFrame({n: list(objects[n].reshape(7, -1)) for n in ("image", "mag")})
    frame.index = pd.RangeIndex(1000, 1014, 2, name="object_id")
    frame.to_parquet(path / "a.parquet")
    return path / "a.parquet", {"object_id": np.arange(1000, 1014, 2)}


def fits_table(path: Path, objects: Columns, ids: fits.Column) -> Path:
    flat = objects["image"].reshape(7, -1)
    columns = [
        fits.Column("image", format="320E", dim="(8,8,5)", array=flat),
        fits.Column("mag", format="5E", array=objects["mag"]),
        ids,
    ]
    fits.BinTableHDU.from_columns(columns).writeto(path / "a.fits")
    return path / "a.fits"


def texts_of_varying_length(path: Path, objects: Columns) -> Written:
    texts = ["a" * (i + 1) for i in range(7)]
    ids = fits.Column("object_id", format="PA()", array=np.array(texts, object))
    return fits_table(path, objects, ids), {"object_id": texts}


def signed_bytes(path: Path, objects: Columns) -> Written:
    numbers = np.arange(-3, 4, dtype="i1")
    ids = fits.Column("object_id", format="B", bzero=-128, array=numbers)
    return fits_table(path, objects, ids), {"object_id": numbers}


def nulls_of_a_table_of_text(path: Path, objects: Columns) -> Written:
    z = np.array([1, 2, -9, 4, 5, 6, 7])
    columns = [
        fits.Column("objid", format="I20", ascii=True, array=objects["object_id"]),
        fits.Column("z_spec", format="I5", ascii=True, array=z, null="-9"),
        *(
            fits.Column(f"mag_{b}", format="F12.6", ascii=True, array=objects["mag"][:, at])
            for at, b in enumerate("ugriz")
        ),
    ]
    cube = fits.ImageHDU(objects["image"], name="CUTOUTS")
    table = fits.TableHDU.from_columns(columns)
    fits.HDUList([fits.PrimaryHDU(), table, cube]).writeto(path / "a.fits")
    redshifts = np.where(z == -9, np.nan, z)
    return path / "a.fits", {"object_id": objects["object_id"], "z_spec": redshifts}


CASES = [
    fills_of_another_dtype,
    rows_that_were_never_written,
    scaled_arrays_of_varying_length,
    units_in_capitals,
    units_in_capitals_in_parquet,
    records_in_records,
    datasets_of_arrays,
    texts_as_bytes,
    whole_numbers_as_decimals,
    columns_of_nothing_but_nulls,
    half_floats_with_a_null,
    structs_of_bands,
    names_with_dots,
    an_index_of_pandas_that_counts,
    texts_of_varying_length,
    signed_bytes,
    nulls_of_a_table_of_text,
]


@pytest.mark.parametrize("write", CASES, ids=lambda f: f.__name__)
def test_it_is_honoured(
    write: Callable[[Path, Columns], Written],
    objects: Columns,
    tmp_path: Path,
    packed: Pack,
) -> None:
    path, expected = write(tmp_path, objects)
    choices = Choices(names={"mag": "cat.mag"}) if write is records_in_records else Choices()
    found = packed(path, choices)
    for name, column in expected.items():
        if name == "object_id":
            stored = found[name]
            ids = restored_ids(stored).astype(str) if stored.ndim > 1 else stored
            assert list(ids) == list(column)
        else:
            np.testing.assert_allclose(found[name], column, rtol=3e-7, atol=1e-6, err_msg=name)


@pytest.mark.parametrize("unit", ["mag(AB)", "dex(nmgy)", "mag(nJy)", "dB(nmgy)", "nJy/beam"])
def test_logarithms_and_densities_are_no_flux_densities(unit: str) -> None:
    assert nanomaggies(unit) is None


@pytest.mark.parametrize(
    ("unit", "factor"),
    [("nanomaggies/pixel", 1), ("nmgy pix-1", 1), ("nJy / pix", 1 / 3631), ("maggies", 1e9)],
)
def test_pixels_are_per_pixel(unit: str, factor: float) -> None:
    assert nanomaggies(unit) == pytest.approx(factor)


def test_units_of_several_bands_are_all_said() -> None:
    assert said_unit({"Units": np.array([b"mag", b"mag", b"nJy"])}) == "mag, nJy"


def test_a_compressed_table_is_refused(objects: Columns, tmp_path: Path, packed: Pack) -> None:
    table = fits.BinTableHDU(Table(basics(objects)))
    table.header["ZTABLE"] = True
    table.writeto(tmp_path / "a.fits")
    with pytest.raises(InputError, match=r"HDU 1 is compressed \(ZTABLE\).*`funpack`"):
        packed(tmp_path / "a.fits")


def test_a_fill_value_that_its_dtype_has_no_place_for_is_refused(
    objects: Columns, tmp_path: Path, packed: Pack
) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        for name, column in basics(objects).items():
            file[name] = column
        file["mag"].attrs["_FillValue"] = "none"
    with pytest.raises(InputError, match="its attribute _FillValue is 'none', but it has float32"):
        packed(tmp_path / "a.h5")
