"""Catalogues and containers in the layouts that their users write: read right, or refused by name.

The expected values are those that pandas, astropy, h5py and torch read in the same files.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pytest
import torch
from astropy.io import fits
from astropy.table import Table
from numpy.typing import NDArray
from safetensors.torch import save_file

from cosmic.contracts.text_ids import restored_ids
from cosmic.data.pack.choices import Choices
from cosmic.data.pack.opening import files_of
from cosmic.data.pack.pack import Packed, pack
from cosmic.data.pack.summary import warnings_of
from cosmic.errors import InputError, InvalidInput

Columns = dict[str, NDArray[Any]]
Pack = Callable[..., Columns]
MAGNITUDES = [f"mag_{band}" for band in "ugriz"]


def frame(objects: Columns) -> pd.DataFrame:
    made = {name: objects["mag"][:, at].astype(float) for at, name in enumerate(MAGNITUDES)}
    return pd.DataFrame({"object_id": objects["object_id"], "ra": objects["ra"], **made})


def beside(path: Path, objects: Columns) -> Choices:
    np.save(path / "cutouts.npy", objects["image"])
    return Choices(cutouts=path / "cutouts.npy")


CSV: dict[str, tuple[dict[str, Any], str]] = {
    "semicolons": ({"sep": ";"}, ""),
    "tabs": ({"sep": "\t"}, ""),
    "bars": ({"sep": "|"}, ""),
    "a comment first": ({}, "# of 7 objects, by hand\n"),
    "names in a comment": ({}, "#"),
    "names in the last of two comments": ({}, "# of 7 objects\n# "),
    "line ends of Windows": ({"lineterminator": "\r\n"}, ""),
}


@pytest.mark.parametrize("how", CSV)
def test_a_csv_is_read_as_it_is_laid_out(
    how: str, objects: Columns, tmp_path: Path, packed: Pack
) -> None:
    options, before = CSV[how]
    table = frame(objects)
    text = table.to_csv(index=False, **options)
    (tmp_path / "a.csv").write_bytes((before + text).encode())
    found = packed(tmp_path / "a.csv", beside(tmp_path, objects))
    assert np.array_equal(found["object_id"], table["object_id"])
    assert np.array_equal(found["ra"], table["ra"])
    assert np.array_equal(found["mag"], table[MAGNITUDES].to_numpy("f4"))
    assert np.array_equal(found["image"], objects["image"])


def test_blanks_after_commas_are_no_part_of_names_and_numbers(
    objects: Columns, tmp_path: Path, packed: Pack
) -> None:
    table = frame(objects)[["ra", "object_id", *MAGNITUDES]]
    (tmp_path / "a.csv").write_text(table.to_csv(index=False).replace(",", ", "))
    read = pd.read_csv(tmp_path / "a.csv", skipinitialspace=True)
    found = packed(tmp_path / "a.csv", beside(tmp_path, objects))
    assert np.array_equal(found["object_id"], read["object_id"])
    assert np.array_equal(found["mag"], read[MAGNITUDES].to_numpy("f4"))


def test_digits_with_a_sign_are_numbers_where_numbers_are_needed(
    objects: Columns, tmp_path: Path, packed: Pack
) -> None:
    table = frame(objects)
    table["object_id"] = [f"{i:03}" for i in range(7)]
    table["dec"] = ["+12", "-5", "007", "0", "+1", "-90", "90"]
    table.to_csv(tmp_path / "a.csv", index=False)
    found = packed(tmp_path / "a.csv", beside(tmp_path, objects))
    assert found["dec"].tolist() == [12, -5, 7, 0, 1, -90, 90]
    assert restored_ids(found["object_id"]).astype(str).tolist() == list(table["object_id"])


@pytest.mark.parametrize("word", ["", "--", "nan", "null", "N/A", "n/a", "<NA>", "INDEF", "..."])
def test_words_for_nothing_are_missing_values(
    word: str, objects: Columns, tmp_path: Path, packed: Pack
) -> None:
    table = frame(objects)
    table.loc[[1, 4], "mag_r"] = np.nan
    table.to_csv(tmp_path / "a.csv", index=False, na_rep=word)
    found = packed(tmp_path / "a.csv", beside(tmp_path, objects))
    assert np.flatnonzero(np.isnan(found["mag"]).any(axis=1)).tolist() == [1, 4]
    assert np.isnan(found["mag"]).sum() == 2


UNREADABLE: dict[str, tuple[Callable[[str], bytes], str]] = {
    "another word": (lambda t: t.replace("18.5", "bad", 1).encode(), r"'bad' in row 2.*a number"),
    "UTF-16": (lambda t: t.encode("utf-16"), "not UTF-8.*save it as UTF-8"),
    "decimal commas": (
        lambda t: t.replace(",", ";").replace(".", ",").encode(),
        r"mag_u.* is text, such as '\d+,\d+'",
    ),
    "two columns of a name": (
        lambda t: t.replace("mag_g", "mag_u", 1).encode(),
        "several columns have the same name",
    ),
}


@pytest.mark.parametrize("how", UNREADABLE)
def test_a_csv_that_is_not_read_says_why_and_where(
    how: str, objects: Columns, tmp_path: Path, packed: Pack
) -> None:
    spoil, message = UNREADABLE[how]
    table = frame(objects)
    table.loc[2, "mag_r"] = 18.5
    (tmp_path / "a.csv").write_bytes(spoil(table.to_csv(index=False)))
    with pytest.raises(InputError, match=message) as caught:
        packed(tmp_path / "a.csv", beside(tmp_path, objects))
    assert str(caught.value).count("a.csv") == len(getattr(caught.value, "problems", "1"))


@pytest.mark.parametrize("named", ["mag_sdss_{}", "{}_HSC", "MAG_GAAP_{}"])
def test_magnitudes_of_unknown_names_are_offered(
    named: str, objects: Columns, tmp_path: Path, packed: Pack
) -> None:
    names = [named.format(band) for band in "ugriz"]
    columns: dict[str, Any] = {name: objects["mag"][:, at] for at, name in enumerate(names)}
    columns |= {f"{name}_err": column * 0 for name, column in columns.items()}
    np.savez(tmp_path / "a.npz", image=objects["image"], **columns)
    with pytest.raises(InvalidInput) as caught:
        packed(tmp_path / "a.npz")
    assert caught.value.problems[0].hint == f"say --column mag={','.join(names)}"


def ascii_table(path: Path, objects: Columns) -> None:
    ids = fits.Column("object_id", "I20", array=objects["object_id"], ascii=True)
    columns = [ids] + [
        fits.Column(name, "E15.8", array=objects["mag"][:, at].astype(float), ascii=True)
        for at, name in enumerate(MAGNITUDES)
    ]
    table = fits.TableHDU.from_columns(columns)
    cube = fits.ImageHDU(objects["image"], name="CUTOUTS")
    fits.HDUList([fits.PrimaryHDU(), table, cube]).writeto(path)


def test_an_ascii_table_of_fits_is_read(objects: Columns, tmp_path: Path, packed: Pack) -> None:
    ascii_table(tmp_path / "a.fits", objects)
    read = Table.read(tmp_path / "a.fits", hdu=1)
    found = packed(tmp_path / "a.fits")
    assert np.array_equal(found["object_id"], read["object_id"])
    assert np.array_equal(found["mag"], np.array([read[n] for n in MAGNITUDES], "f4").T)
    assert np.array_equal(found["image"], objects["image"])


def test_cubes_of_a_band_each_are_taken_where_they_are_named(
    objects: Columns, tmp_path: Path, packed: Pack
) -> None:
    cubes = [fits.ImageHDU(objects["image"][:, at], name=f"BAND{at}") for at in range(5)]
    table = fits.BinTableHDU(Table({n: objects[n] for n in ("mag", "object_id")}))
    fits.HDUList([fits.PrimaryHDU(), table, *cubes[::-1]]).writeto(tmp_path / "a.fits")
    with pytest.raises(InputError, match=r"no field is 'image'.*BAND0"):
        packed(tmp_path / "a.fits")
    names = ",".join(f"BAND{at}" for at in range(5))
    found = packed(tmp_path / "a.fits", Choices(names={"image": names}))
    assert np.array_equal(found["image"], objects["image"])


def test_scaled_integers_of_varying_length_are_refused(
    objects: Columns, tmp_path: Path, packed: Pack
) -> None:
    """astropy 8 rounds them to integers again."""
    rows = np.empty(7, object)
    rows[:] = list(np.round(objects["image"] * 1000).astype("i2").reshape(7, -1))
    table = fits.BinTableHDU.from_columns(
        [
            fits.Column("image", "PI()", array=rows),
            fits.Column("mag", "5E", array=objects["mag"]),
            fits.Column("object_id", "K", array=objects["object_id"]),
        ]
    )
    table.header["TSCAL1"], table.header["TZERO1"] = 0.001, 0.0
    table.writeto(tmp_path / "a.fits")
    with pytest.raises(InvalidInput, match="image is of integers of varying length with TSCAL"):
        packed(tmp_path / "a.fits")
    assert not (tmp_path / "packed").exists()


def test_texts_of_any_length_in_records_of_hdf5_are_ids(
    objects: Columns, tmp_path: Path, packed: Pack
) -> None:
    kinds = [("object_id", h5py.string_dtype()), ("mag", "f4", 5), ("image", "f4", (5, 8, 8))]
    records = np.empty(7, kinds)
    records["object_id"] = [f"J{'0' * at}1" for at in range(7)]
    records["mag"], records["image"] = objects["mag"], objects["image"]
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["catalogue"] = records
    found = packed(tmp_path / "a.h5")
    with h5py.File(tmp_path / "a.h5") as file:
        read = file["catalogue"]["object_id"][:].tolist()
    assert [bytes(row).rstrip(b"\0") for row in found["object_id"]] == read


TORCH: dict[str, Callable[[dict[str, Any]], Any]] = {
    "an ordered dict": OrderedDict,
    "a dict in a dict": lambda t: {"data": t, "meta": {"survey": "SDSS", "seed": 7}},
    "a scalar beside": lambda t: {**t, "pixscale": torch.tensor(0.396)},
    "notes beside": lambda t: {**t, "notes": "of 7 objects", "version": 3, "tags": ["a", "b"]},
}


@pytest.mark.parametrize("how", TORCH)
def test_dicts_of_torch_are_read_whatever_else_they_hold(
    how: str, objects: Columns, tmp_path: Path, packed: Pack
) -> None:
    names = ("image", "mag", "object_id", "z_spec")
    torch.save(TORCH[how]({n: torch.from_numpy(objects[n]) for n in names}), tmp_path / "a.pt")
    found = packed(tmp_path / "a.pt")
    for name in names:
        assert np.array_equal(found[name], objects[name]), name


def test_a_list_of_texts_in_a_dict_of_torch_is_ids(
    objects: Columns, tmp_path: Path, packed: Pack
) -> None:
    texts = [f"J{at:03d}" for at in range(7)]
    tensors = {n: torch.from_numpy(objects[n]) for n in ("image", "mag")}
    torch.save({**tensors, "object_id": texts}, tmp_path / "a.pt")
    found = packed(tmp_path / "a.pt")["object_id"]
    assert [bytes(row).decode() for row in found] == texts


def test_numbers_of_a_kind_that_is_not_read_are_named(
    objects: Columns, tmp_path: Path, packed: Pack
) -> None:
    tensors = {n: torch.from_numpy(objects[n]) for n in ("image", "mag", "object_id")}
    save_file({**tensors, "image": tensors["image"].bfloat16()}, tmp_path / "a.safetensors")
    with pytest.raises(
        InputError, match=r"image is BF16, which is not supported \(convert it to float"
    ):
        packed(tmp_path / "a.safetensors")


def test_magnitudes_of_which_none_is_plausible_are_refused(
    objects: Columns, tmp_path: Path, packed: Pack
) -> None:
    columns: dict[str, Any] = {**objects, "mag": objects["mag"] * 1000}
    np.savez(tmp_path / "a.npz", **columns)
    with pytest.raises(
        InvalidInput, match=r"none of the 35 values of mag is possible.*another unit"
    ):
        packed(tmp_path / "a.npz")
    assert not (tmp_path / "packed").exists()


IMPLAUSIBLE: dict[str, tuple[str, Callable[[NDArray[Any]], NDArray[Any]]]] = {
    "velocities": ("z_spec", lambda v: 300 + v * 299792),
    "fluxes": ("mag_err", lambda v: v * 100 + 1e4),
}


@pytest.mark.parametrize("how", IMPLAUSIBLE)
def test_other_columns_of_which_no_value_is_plausible_are_missing_and_said(
    how: str, objects: Columns, tmp_path: Path
) -> None:
    name, spoil = IMPLAUSIBLE[how]
    columns: dict[str, Any] = {**objects, name: spoil(objects[name])}
    np.savez(tmp_path / "a.npz", **columns)
    files = files_of([tmp_path / "a.npz"])
    found = pack(files, tmp_path / "out", Choices(), partition_bytes=1 << 20)
    (line,) = warnings_of(found, [])
    assert line.startswith(
        f"none of the {objects[name].size} values of {name} is possible, such as "
    )


def test_a_column_of_nothing_but_sentinels_is_missing(
    objects: Columns, tmp_path: Path, packed: Pack
) -> None:
    columns: dict[str, Any] = {**objects, "z_spec": np.full(7, -9.0, "f4")}
    columns["z_spec"][3:5] = -99
    np.savez(tmp_path / "a.npz", **columns)
    assert np.isnan(packed(tmp_path / "a.npz")["z_spec"]).all()


def test_a_field_of_another_group_is_named_where_one_is_lacking(
    objects: Columns, tmp_path: Path, packed: Pack
) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        for name in ("mag", "object_id"):
            file[f"photometry/{name}"] = objects[name]
        file["cutouts/image"] = objects["image"]
    with pytest.raises(InputError, match="--column image=cutouts/image if its rows are the same"):
        packed(tmp_path / "a.h5")
    found = packed(tmp_path / "a.h5", Choices(names={"image": "cutouts/image"}))
    assert np.array_equal(found["image"], objects["image"])


def said_of(objects: Columns, tmp_path: Path, names: str, **more: Any) -> tuple[Packed, list[str]]:
    columns: dict[str, Any] = {n: objects[n] for n in ("image", "object_id")}
    columns |= {names.format(b): objects["mag"][:, at] for at, b in enumerate("ugriz")}
    with h5py.File(tmp_path / "a.h5", "w") as file:
        for name, column in columns.items():
            file[name] = column
        file.attrs.update(more)
    files = files_of([tmp_path / "a.h5"])
    found = pack(files, tmp_path / "out", Choices(), partition_bytes=1 << 20)
    return found, list(warnings_of(found, []))


@pytest.mark.parametrize(
    ("names", "said"), [("modelMag_{}", True), ("{}", True), ("dered_{}", False), ("mag_{}", False)]
)
def test_magnitudes_that_are_not_corrected_for_extinction_are_said(
    names: str, said: bool, objects: Columns, tmp_path: Path
) -> None:
    _, lines = said_of(objects, tmp_path, names)
    assert any("not corrected for Galactic extinction" in line for line in lines) is said


def test_masks_that_are_not_applied_are_said(objects: Columns, tmp_path: Path) -> None:
    columns: dict[str, Any] = {**objects, "image_mask": np.zeros(objects["image"].shape, bool)}
    columns["good"] = np.ones(7, bool)
    np.savez(tmp_path / "a.npz", **columns)
    files = files_of([tmp_path / "a.npz"])
    found = pack(files, tmp_path / "out", Choices(), partition_bytes=1 << 20)
    (line,) = warnings_of(found, [])
    assert line.startswith("not applied: image_mask;")


@pytest.mark.parametrize(("said", "scale"), [({"pixscale": 0.262}, "0.262"), ({}, None)])
def test_the_scale_of_pixels_is_kept_where_a_file_says_it(
    said: dict[str, float], scale: str | None, objects: Columns, tmp_path: Path
) -> None:
    from safetensors import safe_open

    said_of(objects, tmp_path, "mag_{}", **said)
    with safe_open(tmp_path / "out" / "0.safetensors", "np") as file:
        assert file.metadata().get("pixel_scale_arcsec") == scale


def test_files_of_different_pixel_scales_are_refused(objects: Columns, tmp_path: Path) -> None:
    for name, scale in (("a.h5", 0.262), ("b.h5", 0.396)):
        with h5py.File(tmp_path / name, "w") as file:
            for column in ("image", "mag", "object_id"):
                file[column] = objects[column]
            file.attrs["pixel_scale"] = scale
    files = files_of([tmp_path / "a.h5", tmp_path / "b.h5"])
    with pytest.raises(InvalidInput, match=r"0.396 arcsec, those of .*a.h5 0.262 \(pack them"):
        pack(files, tmp_path / "out", Choices(), partition_bytes=1 << 20)
    assert not (tmp_path / "out").exists()
