"""Files as other programs write them: what these programs read in them is what is packed."""

from __future__ import annotations

import gzip
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from astropy import units as u
from astropy.io import fits, votable
from astropy.table import MaskedColumn, Table
from numpy.typing import NDArray
from safetensors.torch import save_file
from typer.testing import CliRunner

from cosmic.data.pack.choices import Choices
from cosmic.data.pack.opening import files_of
from cosmic.data.pack.pack import Packed, pack
from cosmic.errors import InputError
from cosmic_cli.commands.data import app

Columns = dict[str, NDArray[Any]]
Pack = Callable[..., Columns]
BANDS = "ugriz"


def gzipped(path: Path, objects: Columns) -> Path:
    Table(objects).write(path / "a.fits.gz")
    return path / "a.fits.gz"


def tiled(path: Path, objects: Columns) -> Path:
    table = fits.BinTableHDU(Table({n: c for n, c in objects.items() if n != "image"}))
    cube = fits.CompImageHDU(objects["image"], compression_type="GZIP_1", quantize_level=0)
    fits.HDUList([fits.PrimaryHDU(), table, cube]).writeto(path / "a.fits.fz")
    return path / "a.fits.fz"


def tensors(objects: Columns) -> dict[str, Any]:
    """Under other names, and the images in the order of channels_last."""
    names = {"image": "images", "mag": "magnitudes", "z_spec": "redshift"}
    found = {names.get(n, n): torch.from_numpy(c.copy()) for n, c in objects.items()}
    return {**found, "filler": torch.zeros(3, dtype=torch.int16)}


def torch_dict(path: Path, objects: Columns) -> Path:
    found = tensors(objects)
    found["images"] = found["images"].contiguous(memory_format=torch.channels_last)
    torch.save(found, path / "a.pt")
    return path / "a.pt"


def torch_safetensors(path: Path, objects: Columns) -> Path:
    save_file(tensors(objects), path / "a.safetensors")
    return path / "a.safetensors"


@pytest.mark.parametrize(
    "write", [gzipped, tiled, torch_dict, torch_safetensors], ids=lambda f: f.__name__
)
def test_it_is_read(
    write: Callable[[Path, Columns], Path], objects: Columns, tmp_path: Path, packed: Pack
) -> None:
    found = packed(write(tmp_path, objects))
    assert set(found) == set(objects)
    for name, values in objects.items():
        assert np.array_equal(found[name], values), name


def test_a_pickle_in_a_pt_file_is_never_run(objects: Columns, tmp_path: Path, packed: Pack) -> None:
    class Trap:
        def __reduce__(self) -> Any:
            return Path.touch, (tmp_path / "run",)

    torch.save({**tensors(objects), "trap": Trap()}, tmp_path / "a.pt")
    with pytest.raises(InputError, match="which no partition needs"):
        packed(tmp_path / "a.pt")
    assert not (tmp_path / "run").exists()


def test_a_tensor_of_a_type_that_numpy_lacks_is_refused(
    objects: Columns, tmp_path: Path, packed: Pack
) -> None:
    found = tensors(objects)
    save_file({**found, "magnitudes": found["magnitudes"].bfloat16()}, tmp_path / "a.safetensors")
    with pytest.raises(InputError, match="mag \\(magnitudes\\) is BF16, which is not supported"):
        packed(tmp_path / "a.safetensors")


def catalogue(objects: Columns) -> dict[str, Any]:
    return {
        "object_id": objects["object_id"],
        **{f"modelMag_{b}": objects["mag"][:, i] for i, b in enumerate(BANDS)},
        **{f"modelMagErr_{b}": objects["mag_err"][:, i] for i, b in enumerate(BANDS)},
        **{name: objects[name] for name in ("ra", "dec", "z_spec")},
    }


def csv(path: Path, objects: Columns) -> Path:
    """By pandas; nulls are empty, and SkyServer puts a comment first."""
    frame = pd.DataFrame(catalogue(objects))
    frame.loc[2, "z_spec"] = np.nan
    text = frame.to_csv(index=False)
    (path / "a.csv").write_text("#Table1\n" + text)
    return path / "a.csv"


def with_units(objects: Columns) -> Table:
    table = Table(catalogue(objects))
    table["ra"] = np.radians(objects["ra"]) * u.rad
    table["z_spec"] = MaskedColumn(objects["z_spec"], mask=np.arange(7) == 2)
    return table


def ecsv(path: Path, objects: Columns) -> Path:
    with_units(objects).write(path / "a.ecsv", format="ascii.ecsv")
    return path / "a.ecsv"


def vot(path: Path, objects: Columns) -> Path:
    votable.writeto(votable.from_table(with_units(objects)), str(path / "a.vot"))
    return path / "a.vot"


def binary_vot(path: Path, objects: Columns) -> Path:
    made = votable.from_table(with_units(objects))
    votable.writeto(made, str(path / "a.xml"), tabledata_format="binary2")
    return path / "a.xml"


def parquet(path: Path, objects: Columns) -> Path:
    frame = pd.DataFrame(catalogue(objects))
    frame["z_spec"] = frame["z_spec"].where(frame.index != 2)
    frame.to_parquet(path / "a.parquet")
    return path / "a.parquet"


def expected(objects: Columns) -> Columns:
    z = objects["z_spec"].copy()
    z[2] = np.nan
    return {**objects, "z_spec": z}


def cubes(folder: Path, objects: Columns, **cards: Any) -> None:
    """A file an object, named by its id, by astropy."""
    folder.mkdir()
    for name, image in zip(objects["object_id"], objects["image"], strict=True):
        fits.writeto(folder / f"{name}.fits", image, fits.Header(cards))


@pytest.mark.parametrize("write", [csv, ecsv, vot, binary_vot, parquet], ids=lambda f: f.__name__)
def test_cutouts_are_joined_to_a_catalogue_by_ids(
    write: Callable[[Path, Columns], Path], objects: Columns, tmp_path: Path, packed: Pack
) -> None:
    cubes(tmp_path / "cutouts", objects, BUNIT="nanomaggy")
    found = packed(write(tmp_path, objects), Choices(cutouts=tmp_path / "cutouts"))
    for name, values in expected(objects).items():
        assert np.allclose(found[name], values, rtol=1e-7, equal_nan=True), name
    assert np.array_equal(found["object_id"], objects["object_id"])


def bands_apart(image: NDArray[Any]) -> fits.HDUList:
    """In another order, with weights beside; the first in the primary HDU, named by FILTER."""
    first = fits.PrimaryHDU(image[4], fits.Header({"FILTER": "sdss-z"}))
    others = [fits.ImageHDU(image[BANDS.index(b)], name=f"SDSS-{b}") for b in "irgu"]
    return fits.HDUList([first, *others, fits.ImageHDU(image[0], name="WEIGHT")])


def bands_last(image: NDArray[Any]) -> fits.HDUList:
    return fits.HDUList([fits.PrimaryHDU(np.moveaxis(image, 0, -1))])


def bands_said(image: NDArray[Any]) -> fits.HDUList:
    """As the Legacy Surveys' viewer says them."""
    return fits.HDUList([fits.PrimaryHDU(image[::-1], fits.Header({"BANDS": "zirgu"}))])


def scaled(image: NDArray[Any]) -> fits.HDUList:
    cutout = fits.PrimaryHDU(np.round(image * 1000).astype("i2"))
    cutout.header["BSCALE"] = 0.001
    return fits.HDUList([cutout])


@pytest.mark.parametrize(
    "made", [bands_apart, bands_last, bands_said, scaled], ids=lambda f: f.__name__
)
def test_cutouts_are_read_as_they_say(
    made: Callable[[NDArray[Any]], fits.HDUList],
    objects: Columns,
    tmp_path: Path,
    packed: Pack,
) -> None:
    (tmp_path / "cutouts").mkdir()
    for name, image in zip(objects["object_id"], objects["image"], strict=True):
        made(image).writeto(tmp_path / f"cutouts/{name}.fits")
    found = packed(csv(tmp_path, objects), Choices(cutouts=tmp_path / "cutouts"))
    assert np.allclose(found["image"], objects["image"], atol=1e-6)


def test_cutouts_are_named_by_a_column_below_the_folder(
    objects: Columns, tmp_path: Path, packed: Pack
) -> None:
    """In folders of fields, gzipped; an image beside it is chosen by its HDU."""
    frame = pd.DataFrame(catalogue(objects))
    frame["file"] = [f"field{i % 2}/cutout.{i}.fits.gz" for i in range(7)]
    frame.to_csv(tmp_path / "a.csv", index=False)
    for name, image in zip(frame["file"], objects["image"], strict=True):
        (tmp_path / "cutouts" / name).parent.mkdir(parents=True, exist_ok=True)
        sci, var = fits.ImageHDU(image, name="SCI"), fits.ImageHDU(image * 0, name="VAR")
        fits.HDUList([fits.PrimaryHDU(), sci, var]).writeto(tmp_path / "cutouts" / name)
    chosen = Choices(cutouts=tmp_path / "cutouts", cutout_name="file")
    with pytest.raises(InputError, match="more than one image: SCI, VAR; see --cutout-hdu NAME"):
        packed(tmp_path / "a.csv", chosen)
    chosen = Choices(cutouts=tmp_path / "cutouts", cutout_name="file", cutout_hdus=["sci"])
    assert np.array_equal(packed(tmp_path / "a.csv", chosen)["image"], objects["image"])


def test_an_array_of_images_lies_beside_a_catalogue(
    objects: Columns, tmp_path: Path, packed: Pack
) -> None:
    np.save(tmp_path / "images.npy", np.moveaxis(objects["image"], 1, -1))
    found = packed(csv(tmp_path, objects), Choices(cutouts=tmp_path / "images.npy"))
    assert np.array_equal(found["image"], objects["image"])
    np.save(tmp_path / "images.npy", objects["image"][:5])
    with pytest.raises(InputError, match="columns differ in length"):
        pack_csv(tmp_path, objects, Choices(cutouts=tmp_path / "images.npy"))


def pack_csv(tmp_path: Path, objects: Columns, choices: Choices) -> Packed:
    out = tmp_path / "out"
    return pack(files_of([csv(tmp_path, objects)]), out, choices, partition_bytes=1 << 20)


def test_objects_without_a_cutout_and_cutouts_without_an_object_are_said(
    objects: Columns, tmp_path: Path
) -> None:
    folder = tmp_path / "cutouts"
    cubes(folder, objects)
    (folder / f"{objects['object_id'][3]}.fits").rename(folder / "stranger.fits")
    words = ["pack", str(csv(tmp_path, objects)), "--cutouts", str(folder)]
    done = CliRunner().invoke(app, [*words, "--out", str(tmp_path / "out")])
    assert done.exit_code == 0, done.output
    assert "1 objects have no cutout" in done.output
    assert "1 cutouts belong to no object: stranger.fits" in done.output
    assert "1 images without any pixel" in done.output


def by_rows(folder: Path, objects: Columns) -> list[Path]:
    return [folder / f"{name}.fits" for name in objects["object_id"]]


def damaged(files: list[Path]) -> str:
    first, second = files[3:5]
    first.write_bytes(first.read_bytes()[:1000])
    fits.writeto(second, np.zeros((5, 9, 9)), overwrite=True)
    return rf"can't be used: rows 3 \(.*{first.name}.*, 4 \(.*{second.name}: shape \(5, 9, 9\)"


def other_unit(files: list[Path]) -> str:
    file = files[6]
    fits.setval(file, "BUNIT", value="nJy")
    return rf"{file.name}: in nJy, the first is in none"


def all_in_another_unit(files: list[Path]) -> str:
    for file in files:
        fits.setval(file, "BUNIT", value="adu")
    return "its pixels are in adu .give --image-scale"


def bands_missing(files: list[Path]) -> str:
    for file in files:
        image = fits.getdata(file)
        fits.writeto(file, image[1:], fits.Header({"BANDS": "griz"}), overwrite=True)
    return "its bands g, r, i, z lack u"


def twice(files: list[Path]) -> str:
    file, folder = files[2], files[2].parent
    (folder / "more").mkdir()
    shutil.copy(file, folder / "more" / file.name)
    return r"object_id names more than one cutout: row 2"


def of_others(files: list[Path]) -> str:
    for number, file in enumerate(files):
        file.rename(file.parent / f"x{number}.fits")
    return "no cutout in .* belongs to an object; there are x0.fits"


def none_at_all(files: list[Path]) -> str:
    for file in files:
        file.unlink()
    return "there are no cutouts in"


@pytest.mark.parametrize(
    "spoil",
    [damaged, other_unit, all_in_another_unit, bands_missing, twice, of_others, none_at_all],
    ids=lambda f: f.__name__,
)
def test_cutouts_that_do_not_fit_are_refused(
    spoil: Callable[[list[Path]], str], objects: Columns, tmp_path: Path
) -> None:
    cubes(tmp_path / "cutouts", objects)
    message = spoil(by_rows(tmp_path / "cutouts", objects))
    with pytest.raises(InputError, match=message):
        pack_csv(tmp_path, objects, Choices(cutouts=tmp_path / "cutouts"))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["../outside", "/etc/hostname", "..", "", "a/../../outside.fits"])
def test_names_never_lead_out_of_the_folder(
    name: str, objects: Columns, tmp_path: Path, packed: Pack
) -> None:
    cubes(tmp_path / "cutouts", objects)
    fits.writeto(tmp_path / "outside.fits", objects["image"][0])
    frame = pd.DataFrame(catalogue(objects))
    frame["file"] = [name, *(f"{i}.fits" for i in objects["object_id"][1:])]
    frame.to_csv(tmp_path / "a.csv", index=False)
    chosen = Choices(cutouts=tmp_path / "cutouts", cutout_name="file")
    found = packed(tmp_path / "a.csv", chosen)
    assert np.isnan(found["image"][0]).all()
    assert np.array_equal(found["image"][1:], objects["image"][1:])


@pytest.mark.parametrize(
    ("texts", "kept"),
    [
        (["007", "7"], [b"007", b"7"]),
        (["12", "-3"], [12, -3]),
        (["9223372036854775808", "1"], [b"9223372036854775808", b"1"]),
        (["1e3", "2"], None),
        (["J1234+0102", "12"], [b"J1234+0102", b"12"]),
    ],
)
def test_ids_of_a_csv_are_kept_as_they_are_written(
    texts: list[str], kept: list[Any] | None, objects: Columns, tmp_path: Path
) -> None:
    """Or refused, if a program would read them as other numbers."""
    two = {name: column[:2] for name, column in objects.items()}
    np.save(tmp_path / "images.npy", two["image"])
    frame = pd.DataFrame({**catalogue(two), "object_id": texts})
    frame.to_csv(tmp_path / "a.csv", index=False)
    out, chosen = tmp_path / "out", Choices(cutouts=tmp_path / "images.npy")
    if kept is None:
        with pytest.raises(InputError, match="object_id is double"):
            pack([tmp_path / "a.csv"], out, chosen, partition_bytes=1 << 20)
        return
    made = pack([tmp_path / "a.csv"], out, chosen, partition_bytes=1 << 20)
    assert (made.text_id is not None) is isinstance(kept[0], bytes)


def test_a_catalogue_in_a_folder_of_data_is_not_read(objects: Columns, tmp_path: Path) -> None:
    Table(objects).write(tmp_path / "a.fits")
    csv(tmp_path, objects)
    assert files_of([tmp_path]) == [tmp_path / "a.fits"]


def test_half_a_gzipped_file_is_refused(objects: Columns, tmp_path: Path, packed: Pack) -> None:
    path = gzipped(tmp_path, objects)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(InputError, match=r"a\.fits\.gz: "):
        packed(path)
    path.write_bytes(gzip.compress(b"no FITS file"))
    with pytest.raises(InputError, match=r"a\.fits\.gz: "):
        packed(path)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--cutout-name", "file"], "--cutout-name and --cutout-hdu have no effect"),
        (["--cutouts", "x", "--column", "image=y"], "--cutouts and --column image"),
    ],
)
def test_options_of_cutouts_that_make_no_sense_are_refused(
    words: list[str], message: str, objects: Columns, tmp_path: Path
) -> None:
    path = csv(tmp_path, objects)
    done = CliRunner().invoke(app, ["pack", str(path), "--out", str(tmp_path / "out"), *words])
    assert isinstance(done.exception, InputError)
    assert message in str(done.exception)
