"""What was taken for what, what is missing and what is odd is said by `pack` and by `inspect`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray
from typer.testing import CliRunner

from cosmic.data.pack.opening import files_of
from cosmic.errors import InputError
from cosmic_cli.commands.data import app

Columns = dict[str, NDArray[Any]]
SENTINELS = [-999, 99.999, -99.9, 9999, 1e20, np.nan]


def run(*words: str) -> Any:
    done = CliRunner().invoke(app, list(words))
    assert done.exit_code == 0, done.output
    return done


def save(path: Path, columns: Columns) -> str:
    arrays: dict[str, Any] = dict(columns)
    np.savez(path / "a.npz", **arrays)
    return str(path / "a.npz")


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_magnitudes_that_cannot_be_are_missing_and_counted_by_value(
    dtype: Any, objects: Columns, tmp_path: Path, packed: Callable[..., Columns]
) -> None:
    magnitudes = objects["mag"].astype(dtype)
    magnitudes[2, 0] = magnitudes[3, 1] = -9999  # -10000 in float16
    path = save(tmp_path, {**objects, "mag": magnitudes})
    found = json.loads(run("pack", path, "--out", str(tmp_path / "o"), "--json").stdout)
    taken = found["sources"][0]["taken"]["mag"]
    seen = "-10000" if dtype is np.float16 else "-9999"
    assert (taken["missing"], taken["missing_by_value"]) == (2, {seen: 2})
    gone = np.argwhere(np.isnan(packed(Path(path))["mag"]))
    assert gone.tolist() == [[2, 0], [3, 1]]


def test_every_stand_in_is_missing_and_bright_and_faint_magnitudes_are_not(
    objects: Columns, tmp_path: Path, packed: Callable[..., Columns]
) -> None:
    magnitudes = objects["mag"].copy()
    magnitudes[:6, 2] = SENTINELS
    magnitudes[6, :3] = [30, 0, -1]
    redshifts = np.array([0.1, -9, -99, -1, 0.2, 1e20, -0.001], np.float32)
    columns = {**objects, "mag": magnitudes, "z_spec": redshifts}
    path = save(tmp_path, columns)
    found = packed(Path(path))
    assert np.isnan(found["mag"]).sum() == len(SENTINELS)
    assert list(found["mag"][6, :3]) == [30, 0, -1]
    assert np.isnan(found["z_spec"]).tolist() == [False, True, True, True, False, True, False]


def test_the_text_says_what_was_taken_for_what(objects: Columns, tmp_path: Path) -> None:
    z = np.array([-9, -9, -99, 0.1, 0.2, 0.3, 0.4], np.float32)
    table = {
        "image": [i.ravel().tolist() for i in objects["image"]],
        "mag": objects["mag"].tolist(),
        "TARGETID": objects["object_id"],
        "RAJ2000": objects["ra"],
        "DEJ2000": objects["dec"],
        "Z": z,
    }
    pq.write_table(pa.table(table), tmp_path / "a.parquet")
    path = str(tmp_path / "a.parquet")
    text = run("pack", path, "--out", str(tmp_path / "a")).output
    for words in ("TARGETID", "RAJ2000", "DEJ2000", "3 missing (-9: 2, -99: 1)", "not there"):
        assert words in text
    assert "made up" not in text
    numbered = run("pack", path, "--out", str(tmp_path / "b"), "--number-objects").output
    assert "object_id made up" in numbered
    shown = run("inspect", path, "--json").stdout
    fields = json.loads(shown)["files"][0]["fields"]
    assert {n: f["column"] for n, f in fields.items()}["TARGETID"] == "object_id"
    assert fields["Z"]["missing"] == 3


def test_repeated_ids_and_bad_images_are_counted(objects: Columns, tmp_path: Path) -> None:
    image, ids = objects["image"].copy(), objects["object_id"].copy()
    image[0] = np.nan
    image[1, 0, 0, 0] = np.inf
    image[2, 3] = 0
    image[3] = 0
    ids[5] = ids[6] = 42
    path = save(tmp_path, {**objects, "image": image, "object_id": ids})
    done = run("pack", path, "--out", str(tmp_path / "a"), "--json")
    found = json.loads(done.stdout)
    assert found["repeated_ids"] == 1
    assert found["sources"][0]["pixels"] == {
        "lost_images": 1,
        "images_with_bad_pixels": 1,
        "images_with_an_empty_band": 2,
    }
    assert "object_id is repeated in 1 rows, such as 42" in done.stderr
    assert "2 images with a band of nothing but zeros" in done.stderr


def test_hidden_files_in_a_folder_are_left_out_and_named(objects: Columns, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    save(folder, objects)
    (folder / "._a.npz").write_bytes(b"Mac OS X")
    (folder / ".DS_Store").write_bytes(b"Bud1")
    done = run("pack", str(folder), "--out", str(tmp_path / "a"), "--json")
    found = json.loads(done.stdout)
    assert [Path(p).name for p in found["ignored"]] == [".DS_Store", "._a.npz"]
    assert "not read: .DS_Store, ._a.npz" in done.stderr
    assert found["rows"] == 7


def test_folders_with_data_are_not_read_and_named(objects: Columns, tmp_path: Path) -> None:
    (tmp_path / "in/more/yet").mkdir(parents=True)
    (tmp_path / "in/notes").mkdir()
    (tmp_path / "in/.cache").mkdir()
    for folder in (tmp_path / "in", tmp_path / "in/more/yet", tmp_path / "in/.cache"):
        save(folder, objects)
    (tmp_path / "in/notes/readme.txt").write_text("of the survey")
    done = run("pack", str(tmp_path / "in"), "--out", str(tmp_path / "a"), "--json")
    assert json.loads(done.stdout)["rows"] == 7
    assert "not read: more/\n" in done.stderr
    with pytest.raises(InputError, match=r"nothing to read in .*/more") as caught:
        files_of([tmp_path / "in/more"])
    assert caught.value.hint == "give the folders in it: yet/"


def test_a_link_in_a_folder_that_leads_nowhere_is_refused(objects: Columns, tmp_path: Path) -> None:
    save(tmp_path, objects)
    (tmp_path / "b.npz").symlink_to(tmp_path / "disk/b.npz")
    with pytest.raises(InputError, match=r"b\.npz is a link to .*disk/b\.npz, which is not there"):
        files_of([tmp_path])


def compound(path: Path, objects: Columns) -> Path:
    kind = [(n, c.dtype, c.shape[1:]) for n, c in objects.items()]
    records = np.zeros(7, [*kind, ("note", "S3")])
    for name, column in objects.items():
        records[name] = column
    with h5py.File(path / "a.h5", "w") as file:
        file["catalogue"] = records
    return path / "a.h5"


def kinds(path: Path, objects: Columns) -> Path:
    table = {
        "image": [i.ravel().tolist() for i in objects["image"]],
        "mag": objects["mag"].tolist(),
        "when": pa.array([1_700_000_000_000] * 7, pa.timestamp("ms")),
        "raw": [b"\xff\xfe"] * 7,
        "struct": [{"ra": 1.0, "names": ["a"]}] * 7,
        "map": pa.array([[("a", 1)]] * 7, pa.map_(pa.string(), pa.int32())),
        "ragged": [[1.0] * (i % 3) for i in range(7)],
        "nothing": pa.nulls(7),
        "nan": np.full(7, np.nan),
    }
    pq.write_table(pa.table(table), path / "a.parquet")
    return path / "a.parquet"


def named_bands(path: Path, objects: Columns) -> Path:
    with h5py.File(path / "a.h5", "w") as file:
        file["image_array"], file["mag"] = objects["image"], objects["mag"]
        file["image_band"] = np.tile(np.array([f"sdss-{b}" for b in "ugriz"], "S8"), (7, 1))
        file["text"] = np.array(["a"] * 7, object)
    return path / "a.h5"


@pytest.mark.parametrize("write", [compound, kinds, named_bands], ids=lambda f: f.__name__)
def test_inspect_shows_every_kind_of_field_and_pack_reads_what_it_needs(
    write: Callable[[Path, Columns], Path],
    objects: Columns,
    tmp_path: Path,
    packed: Callable[..., Columns],
) -> None:
    path = write(tmp_path, objects)
    shown = run("inspect", str(path), "--json").stdout
    (facts,) = json.loads(shown, parse_constant=pytest.fail)["files"]
    assert facts["rows"] == 7
    assert facts["problems"] == []
    assert len(facts["sample"]) == 3
    run("inspect", str(path))
    assert np.array_equal(packed(path)["image"], objects["image"])
