"""What can't be honoured is refused by name and row; nothing is guessed, nothing is left behind."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fitsio
import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from astropy.io import fits
from astropy.table import MaskedColumn, Table
from numpy.typing import NDArray
from typer.testing import CliRunner

from cosmic.data.dataset_index import INDEX_NAME
from cosmic.data.pack.choices import Choices
from cosmic.data.pack.opening import files_of
from cosmic.data.pack.pack import pack
from cosmic.errors import InputError, InvalidInput
from cosmic_cli.commands.data import app

Columns = dict[str, NDArray[Any]]
Write = Callable[[Path, Columns], Path]


def lists(array: NDArray[Any]) -> list[Any]:
    return [row.tolist() for row in array]


def parquet(**columns: Any) -> Write:
    """A file with other columns than the objects' own; None: without that one."""

    def write(path: Path, objects: Columns) -> Path:
        made = {
            name: column.reshape(7, -1) if name == "image" else column
            for name, column in objects.items()
            if name in ("image", "mag", "object_id")
        }
        plain = {n: lists(c) if c.ndim > 1 else c for n, c in made.items()}
        said = {n: c(objects) if callable(c) else c for n, c in columns.items()}
        kept = {n: c for n, c in {**plain, **said}.items() if c is not None}
        pq.write_table(pa.table(kept), path / "a.parquet")
        return path / "a.parquet"

    return write


def hdf5(**columns: Any) -> Write:
    def write(path: Path, objects: Columns) -> Path:
        with h5py.File(path / "a.h5", "w") as file:
            for name, column in {**objects, **columns}.items():
                file[name] = column
        return path / "a.h5"

    return write


def ragged(objects: Columns) -> list[Any]:
    rows = lists(objects["mag"])
    return [*rows[:3], rows[3][:4], [*rows[4], 17.0], *rows[5:]]


def ragged_first(objects: Columns) -> list[Any]:
    return [objects["mag"][0, :4].tolist(), *lists(objects["mag"][1:])]


def bands(names: str, prefix: str = "") -> dict[str, Any]:
    return {f"{prefix}{name}": np.full(7, 17.0 + i) for i, name in enumerate(names)}


def two_cubes(path: Path, objects: Columns) -> Path:
    table = fits.BinTableHDU(Table({n: objects[n] for n in ("mag", "object_id")}))
    flux = fits.ImageHDU(objects["image"], name="FLUX")
    weight = fits.ImageHDU(np.full_like(objects["image"], 400), name="IVAR")
    fits.HDUList([fits.PrimaryHDU(), table, flux, weight]).writeto(path / "a.fits")
    return path / "a.fits"


def weights_alone(path: Path, objects: Columns) -> Path:
    table = fits.BinTableHDU(Table({n: objects[n] for n in ("mag", "object_id")}))
    weight = fits.ImageHDU(np.full_like(objects["image"], 400), name="IVAR")
    fits.HDUList([fits.PrimaryHDU(), table, weight]).writeto(path / "a.fits")
    return path / "a.fits"


def two_tables(path: Path, objects: Columns) -> Path:
    tables = [fits.BinTableHDU(Table(objects), name=name) for name in ("NORTH", "SOUTH")]
    fits.HDUList([fits.PrimaryHDU(), *tables]).writeto(path / "a.fits")
    return path / "a.fits"


def cut_off(path: Path, objects: Columns) -> Path:
    Table(objects).write(path / "whole.fits")
    (path / "a.fits").write_bytes((path / "whole.fits").read_bytes()[: 2880 * 5])
    return path / "a.fits"


def masked_ids(path: Path, objects: Columns) -> Path:
    table = Table(objects)
    table["object_id"] = MaskedColumn(objects["object_id"], mask=[0, 0, 0, 0, 1, 0, 0])
    table["object_id"].fill_value = -99
    table.write(path / "a.fits")
    return path / "a.fits"


def fluxes(path: Path, objects: Columns) -> Path:
    with fitsio.FITS(str(path / "a.fits"), "rw") as file:
        units = ["nanomaggy" if name == "mag" else "" for name in objects]
        file.write(objects, units=units)
    return path / "a.fits"


def velocities(path: Path, objects: Columns) -> Path:
    table = Table(objects)
    table["z_spec"].unit = "km/s"
    table.write(path / "a.fits")
    return path / "a.fits"


def two_groups(path: Path, objects: Columns) -> Path:
    with h5py.File(path / "a.h5", "w") as file:
        file["photometry/mag"] = objects["mag"]
        file["images/image"] = objects["image"]
    return path / "a.h5"


def unsigned(path: Path, objects: Columns) -> Path:
    with h5py.File(path / "a.h5", "w") as file:
        for name in ("image", "mag"):
            file[name] = objects[name]
        file["mag"].attrs["_Unsigned"] = "true"
    return path / "a.h5"


def ids(*texts: Any) -> list[Any]:
    return [*texts, *(str(i) for i in range(100, 107 - len(texts)))]


BAD_IDS = ("", " 12 ", "\u0663", "étoile", "a\tb", "a\0b", "x" * 65)
REFUSED: list[tuple[str, Write, Choices, str]] = [
    ("two cubes", two_cubes, Choices(), r"HDU 2 \(FLUX\), HDU 3 \(IVAR\).*--hdu"),
    ("weights alone", weights_alone, Choices(), "no field is 'image' .*IVAR"),
    ("an option of another format", parquet(), Choices(hdus=["1"]), "--hdu 1: no file has one"),
    ("two tables", two_tables, Choices(), r"HDU 1 \(NORTH\), HDU 2 \(SOUTH\).*--hdu"),
    ("no such HDU", two_tables, Choices(hdus=["EAST"]), r"'EAST'.*HDU 1 \(NORTH\)"),
    ("groups", two_groups, Choices(), "'mag'.*it has images/image, photometry/mag"),
    ("half a file", cut_off, Choices(), "HDU 1 is cut off"),
    ("fluxes", fluxes, Choices(), "mag of HDU 1 is in nanomaggy"),
    ("an attribute that is not read", unsigned, Choices(), "mag has the attribute _Unsigned"),
    ("velocities", velocities, Choices(), "z_spec of HDU 1 is in km s-1"),
    ("masked id", masked_ids, Choices(), "object_id is missing: row 4, counted from 0"),
    (
        "ragged rows",
        parquet(mag=ragged),
        Choices(),
        r"mag has lists of another length than 5: rows 3 \(4\), 4 \(6\)",
    ),
    ("a ragged first row", parquet(mag=ragged_first), Choices(), r"than 5: row 0 \(4\)"),
    ("null id", parquet(object_id=[1, 2, None, 4, 5, 6, 7]), Choices(), "missing: row 2"),
    *(
        (
            f"id {text!r}",
            parquet(object_id=ids("a-1", text)),
            Choices(),
            rf"object_id is not 1 to 64 printable ASCII .*row 1 \({re.escape(repr(text))}\)",
        )
        for text in BAD_IDS
    ),
    ("bands as numbers", parquet(object_id=[0.5] * 7), Choices(), "object_id is double"),
    ("upper and lower", parquet(mag=None, **bands("ugrizZ", "mag_")), Choices(), "mag_z.*mag_Z"),
    (
        "z beside specz",
        parquet(z=np.full(7, 0.2), specz=np.full(7, 0.1)),
        Choices(),
        "z_spec could be any of specz, z .*--column z_spec=NAME",
    ),
    (
        "positions as text",
        parquet(ra=["12:34:56.7"] * 7, dec=["-01:02:03"] * 7),
        Choices(),
        "ra is text.*--without ra.*dec is text",
    ),
    (
        "one number for five",
        parquet(**bands("u", "the_")),
        Choices({"mag": "the_u", "mag_err": "the_u"}),
        r"mag \(the_u\) has shape \[\] per row.*mag_err \(the_u\)",
    ),
    ("no such field", parquet(), Choices({"mag": "petro"}), "--column mag=petro names no field"),
    ("six bands", hdf5(mag=np.zeros((7, 6))), Choices(), r"mag has shape \[6\] per row"),
    (
        "bands twice",
        parquet(image=lambda o: [{"band": list("ugrii"), "flux": i.tolist()} for i in o["image"]]),
        Choices(),
        "bands u, g, r, i, i lack i, z",
    ),
    ("no rows", parquet(image=[], mag=[], object_id=pa.array([], "int64")), Choices(), "no rows"),
]


@pytest.mark.parametrize(
    ("write", "choices", "message"), [r[1:] for r in REFUSED], ids=[r[0] for r in REFUSED]
)
def test_it_is_refused_and_nothing_is_left(
    write: Write, choices: Choices, message: str, objects: Columns, tmp_path: Path
) -> None:
    (tmp_path / "in").mkdir()
    path = write(tmp_path / "in", objects)
    with pytest.raises(InputError, match=message):
        pack(files_of([path]), tmp_path / "a/b", choices, partition_bytes=1 << 20)
    assert [p.name for p in tmp_path.iterdir()] == ["in"]


@pytest.mark.parametrize(
    ("write", "choices", "expected"),
    [
        (two_cubes, Choices(hdus=["flux"]), "image"),
        (two_cubes, Choices(hdus=["2"]), "image"),
        (two_cubes, Choices({"image": "FLUX"}), "image"),
        (two_tables, Choices(hdus=["SOUTH"]), "z_spec"),
        (two_groups, Choices({"image": "images/image"}), "mag"),
        (parquet(specz=np.full(7, 0.1), z=np.full(7, 0.2)), Choices(without=["z_spec"]), "mag"),
        (
            parquet(mag=None, **bands("grizuy")),
            Choices({"mag": "u,g,r,i,z"}),
            np.tile(np.array([21, 17, 18, 19, 20], np.float32), (7, 1)),
        ),
    ],
    ids=["cube by name", "by number", "by column", "table", "group", "left out", "five names"],
)
def test_what_is_ambiguous_can_be_chosen(
    write: Write,
    choices: Choices,
    expected: Any,
    objects: Columns,
    tmp_path: Path,
    packed: Callable[..., Columns],
) -> None:
    found = packed(write(tmp_path, objects), choices, check_pixels=False)
    if isinstance(expected, str):
        assert np.array_equal(found[expected], objects[expected])
    else:
        assert np.array_equal(found["mag"], expected)
    assert "z_spec" not in choices.without or "z_spec" not in found


@pytest.mark.parametrize("names", ["griz", "grizy", "rz"])
def test_a_z_beside_other_bands_is_a_magnitude(
    names: str, objects: Columns, tmp_path: Path, packed: Callable[..., Columns]
) -> None:
    assert "z_spec" not in packed(parquet(**bands(names))(tmp_path, objects))


def test_the_problems_of_all_files_are_said_at_once(objects: Columns, tmp_path: Path) -> None:
    for name, write in (
        ("a", parquet(object_id=ids("007 "))),
        ("b", parquet(mag=ragged, object_id=[1, 2, None, 4, 5, 6, 7])),
        ("c", parquet()),
    ):
        (tmp_path / name).mkdir()
        write(tmp_path / name, objects)
    files = files_of([tmp_path / name for name in "abc"])
    with pytest.raises(InvalidInput) as caught:
        pack(files, tmp_path / "out", Choices(), partition_bytes=1 << 20)
    assert [Path(p.pointer).parent.name for p in caught.value.problems] == ["a", "b", "b"]
    assert not (tmp_path / "out").exists()


def test_images_of_another_size_are_refused_by_file(
    make_columns: Callable[..., Columns], tmp_path: Path
) -> None:
    for name, size in (("a", 8), ("b", 9), ("c", 10)):
        (tmp_path / name).mkdir()
        parquet()(tmp_path / name, make_columns(7, size=size))
    files = files_of([tmp_path / name for name in "abc"])
    with pytest.raises(InvalidInput, match=r"\(9, 9\) pixels, those of the first file \(8, 8\)"):
        pack(files, tmp_path / "out", Choices(), partition_bytes=1 << 20)


def test_files_that_are_there_already_stay(objects: Columns, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "notes.txt").write_text("mine")
    pack([parquet()(tmp_path, objects)], out, Choices(), partition_bytes=1 << 20)
    assert sorted(p.name for p in out.iterdir()) == ["0.safetensors", "notes.txt", INDEX_NAME]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--column", "mag=u", "--column", "mag=g"], "names mag again, after u"),
        (["--column", "mag="], "names no field"),
        (["--column", "flux=u"], "--column flux=u"),
        (["--without", "flux"], "--without flux"),
        (["--image-scale", "0"], "--image-scale 0"),
        (["--image-scale", "nan"], "--image-scale nan"),
    ],
)
def test_options_that_contradict_themselves_are_refused(
    words: list[str], message: str, objects: Columns, tmp_path: Path
) -> None:
    path = parquet()(tmp_path, objects)
    done = CliRunner().invoke(app, ["pack", str(path), "--out", str(tmp_path / "out"), *words])
    assert isinstance(done.exception, InputError)
    assert message in str(done.exception)
