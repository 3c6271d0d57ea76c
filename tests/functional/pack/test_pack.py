"""The same objects in files of every format come out as the same native partitions."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fitsio
import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from numpy.typing import NDArray
from torch.utils.data import TensorDataset
from typer.testing import CliRunner

from cosmic.data.native import write_partition
from cosmic.data.pack.choices import Choices
from cosmic.data.pack.look import look
from cosmic.data.pack.opening import files_of, opened
from cosmic.data.pack.pack import pack
from cosmic.errors import InputError, InvalidInput
from cosmic_cli.commands.data import app

Columns = dict[str, NDArray[Any]]
ROWS = 7


@pytest.fixture
def columns(make_columns: Callable[..., Columns]) -> Columns:
    made = make_columns(ROWS, size=8)
    made["mag"][1, 2] = np.nan
    return made


def safetensors(path: Path, columns: Columns) -> Path:
    write_partition(path / "a.safetensors", columns)
    return path / "a.safetensors"


def npz(path: Path, columns: Columns) -> Path:
    arrays: dict[str, Any] = dict(columns)
    np.savez(path / "a.npz", **arrays)
    return path / "a.npz"


def npy(path: Path, columns: Columns) -> Path:
    kind = [(name, c.dtype, c.shape[1:]) for name, c in columns.items()]
    records = np.zeros(len(columns["image"]), kind)
    for name, column in columns.items():
        records[name] = column
    np.save(path / "a.npy", records)
    return path / "a.npy"


def npy_folder(path: Path, columns: Columns) -> Path:
    (path / "folder").mkdir()
    for name, column in columns.items():
        np.save(path / "folder" / f"{name}.npy", column)
    np.save(path / "folder/notes.npy", np.array([{"seeing": 1.2}]), allow_pickle=True)
    return path / "folder"


def hdf5(path: Path, columns: Columns) -> Path:
    with h5py.File(path / "a.h5", "w") as file:
        for name, column in columns.items():
            file.create_group("objects") if "objects" not in file else None
            file["objects"].create_dataset(name, data=column)
    return path / "a.h5"


def multimodal_universe(path: Path, columns: Columns) -> Path:
    with h5py.File(path / "mmu.hdf5", "w") as file:
        image = np.concatenate([columns["image"][:, ::-1], columns["image"][:, :1]], axis=1)
        bands = [b"sdss-z", b"sdss-i", b"sdss-r", b"sdss-g", b"sdss-u", b"sdss-y"]
        file["image_array"] = image
        file["image_band"] = np.array([bands] * ROWS)
        file["object_id"] = np.array([str(i).encode() for i in columns["object_id"]])
        for name in ("ra", "dec", "mag", "mag_err"):
            file[name] = columns[name]
        file["Z"] = columns["z_spec"]
    return path / "mmu.hdf5"


def fits_table(path: Path, columns: Columns) -> Path:
    with fitsio.FITS(str(path / "a.fits"), "rw") as file:
        file.write(columns, extname="OBJECTS")
    return path / "a.fits"


def fits_cube(path: Path, columns: Columns) -> Path:
    table = {k: v for k, v in columns.items() if k != "image"}
    with fitsio.FITS(str(path / "cube.fits"), "rw") as file:
        file.write(columns["image"], header={"BUNIT": "nanomaggy"})
        file.write(table)
    return path / "cube.fits"


def parquet(path: Path, columns: Columns) -> Path:
    arrays: dict[str, Any] = {}
    for name, column in columns.items():
        if column.ndim == 1:
            arrays[name] = pa.array(column)
        elif name == "image":
            flat = pa.array(column.reshape(-1))
            arrays[name] = pa.FixedSizeListArray.from_arrays(flat, column[0].size)
        else:
            for i, band in enumerate("ugriz"):
                arrays[f"{name}_{band}"] = pa.array(column[:, i])
    pq.write_table(pa.table(arrays), path / "a.parquet", row_group_size=3)
    return path / "a.parquet"


FORMATS = [
    safetensors,
    npz,
    npy,
    npy_folder,
    hdf5,
    multimodal_universe,
    fits_table,
    fits_cube,
    parquet,
]


@pytest.mark.parametrize("write", FORMATS, ids=lambda f: f.__name__)
def test_every_format_gives_the_same_partitions(
    write: Callable[[Path, Columns], Path], columns: Columns, tmp_path: Path
) -> None:
    source = write(tmp_path, columns)
    packed = pack(
        files_of([source]), tmp_path / "out", Choices(), partition_bytes=1, per_partition=3
    )
    assert [p.name for p in packed.partitions] == [
        "0.safetensors",
        "1.safetensors",
        "2.safetensors",
    ]
    assert packed.rows == ROWS
    for number, path in enumerate(packed.partitions):
        part = {name: c[3 * number : 3 * number + 3] for name, c in columns.items()}
        scale = packed.sources[0]["pixel_arcsec"]  # that of the native file alone
        write_partition(tmp_path / "expected.safetensors", part, pixel_scale_arcsec=scale)
        assert path.read_bytes() == (tmp_path / "expected.safetensors").read_bytes()


def test_pt_files_are_packed_without_running_them(columns: Columns, tmp_path: Path) -> None:
    tensors = [torch.from_numpy(columns[name]) for name in ("image", "mag", "z_spec")]
    for number in (2, 10):
        torch.save(TensorDataset(*tensors), tmp_path / f"{number}.pt")
    packed = pack(files_of([tmp_path]), tmp_path / "out", Choices(), partition_bytes=1 << 20)
    (path,) = packed.partitions
    assert [Path(s["path"]).name for s in packed.sources] == ["2.pt", "10.pt"]
    with opened(path) as source:
        assert np.array_equal(source.fields["image"].read(ROWS, 2 * ROWS).data, columns["image"])
        ids = source.fields["object_id"].read(0, 2 * ROWS).data
    assert list(ids) == [*range(ROWS), *range(1_000_000_000, 1_000_000_000 + ROWS)]


def test_a_partition_has_the_size_that_was_asked_for(columns: Columns, tmp_path: Path) -> None:
    row = 20 * 8 * 8 + 28
    packed = pack([npz(tmp_path, columns)], tmp_path / "o", Choices(), partition_bytes=5 * row)
    with opened(packed.partitions[0]) as source:
        assert source.rows == 5


def test_a_file_that_changes_while_it_is_read_is_refused(columns: Columns, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    path = npy(tmp_path / "in", columns)

    def replaced(rows: int) -> None:
        path.unlink()
        npy(tmp_path / "in", {**columns, "mag": columns["mag"] + 1})

    with pytest.raises(InvalidInput, match=r"a\.npy: it changed while it was read") as caught:
        pack([path], tmp_path / "out", Choices(), partition_bytes=1 << 20, surveyed=replaced)
    assert [p.code for p in caught.value.problems] == ["changed"]
    assert not (tmp_path / "out").exists()


def test_everything_that_is_in_the_way_is_said_at_once(tmp_path: Path, columns: Columns) -> None:
    np.savez(tmp_path / "a.npz", image=columns["image"])
    with fitsio.FITS(str(tmp_path / "b.fits"), "rw") as file:
        file.write(columns, units=["count", *[""] * 6])
    with pytest.raises(InvalidInput) as caught:
        pack(files_of([tmp_path]), tmp_path / "out", Choices(), partition_bytes=1 << 20)
    assert [(p.code, Path(p.pointer).name) for p in caught.value.problems] == [
        ("no-column", "a.npz"),
        ("bad-unit", "b.fits"),
    ]


def test_pixels_are_scaled_and_columns_renamed_on_request(columns: Columns, tmp_path: Path) -> None:
    renamed = {("petro" if n == "mag" else n): c for n, c in columns.items()}
    choices = Choices({"mag": "petro"}, image_scale=2.0)
    packed = pack([npz(tmp_path, renamed)], tmp_path / "o", choices, partition_bytes=1 << 20)
    with opened(packed.partitions[0]) as source:
        assert np.array_equal(source.fields["image"].read(0, ROWS).data, 2 * columns["image"])
        magnitudes = source.fields["mag"].read(0, ROWS).data
        assert np.array_equal(magnitudes, columns["mag"], equal_nan=True)


def test_ids_that_a_float_would_break_are_refused(columns: Columns, tmp_path: Path) -> None:
    floats = {**columns, "object_id": columns["object_id"].astype(float)}
    source = npz(tmp_path, floats)
    with pytest.raises(InputError, match="object_id is float64"):
        pack([source], tmp_path / "out", Choices(), partition_bytes=1 << 20)
    numbered = Choices(number_objects=True)
    pack([source], tmp_path / "numbered", numbered, partition_bytes=1 << 20)


@pytest.mark.parametrize("suffix", ["pt", "npz", "npy", "h5", "fits", "parquet", "safetensors"])
@pytest.mark.parametrize("content", [b"", b"not what its name says" * 10])
def test_a_file_that_is_not_what_its_name_says_is_an_input_error(
    suffix: str, content: bytes, tmp_path: Path
) -> None:
    path = tmp_path / f"a.{suffix}"
    path.write_bytes(content)
    with pytest.raises(InputError):
        look(path, 1)


def test_inspect_shows_what_is_missing_and_what_is_damaged(
    columns: Columns, tmp_path: Path
) -> None:
    path = safetensors(tmp_path, columns)
    whole = CliRunner().invoke(app, ["inspect", str(path), "--json"])
    assert whole.exit_code == 0, whole.output
    (found,) = json.loads(whole.stdout)["files"]
    assert (found["rows"], found["checksums"], found["damaged"]) == (ROWS, "ok", [])
    assert found["fields"]["mag"]["missing"] == 1
    assert found["fields"]["image"]["unit"] == "nanomaggy"
    assert found["fields"]["image"]["shape"] == [5, 8, 8]
    assert found["sample"][0]["object_id"] == int(columns["object_id"][0])
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    broken = CliRunner().invoke(app, ["inspect", str(path)])
    assert broken.exit_code == 1
    assert "checksums: damaged" in broken.stdout


def test_pack_says_what_it_did_as_json(columns: Columns, tmp_path: Path) -> None:
    source, out = npz(tmp_path, columns), tmp_path / "out"
    words = ["pack", str(source), "--out", str(out), "--json"]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert (found["rows"], found["partitions"]) == (ROWS, 1)
    assert found["bytes"] == (out / "0.safetensors").stat().st_size
    again = CliRunner().invoke(app, words)
    assert isinstance(again.exception, InputError)
    assert again.exception.code == "not-empty"
